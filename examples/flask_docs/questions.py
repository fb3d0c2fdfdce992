"""What people ask about Flask. Written for this demo; the last one has an answer that never changed."""

QUESTIONS = (
    "How do I switch Flask to development mode?",
    "Which Python version does Flask support?",
    "How do I use a custom JSON encoder for my application?",
    "How do I deploy Flask with mod_wsgi and Apache?",
    "How do I use Celery for background tasks in a Flask application?",
    "How do I load configuration from environment variables?",
    "How do I escape HTML in a template with Markup?",
    "Do signals need the blinker library?",
    "How do I follow redirects with the test client?",
    "How do I make an AJAX request with jQuery?",
    "How do I package my project with setup.py?",
    "How do I limit the size of file uploads?",
)
