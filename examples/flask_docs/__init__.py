"""Flask's documentation through eight releases: what an old index would tell a model, and what is withheld.

    python -m examples.flask_docs                 on SQLite, in a temporary folder
    STORE=neo4j python -m examples.flask_docs     on a Neo4j that it starts itself

The pages come from Flask's own source packages when the demo runs; none of their text is kept here.
"""
