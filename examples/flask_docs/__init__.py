"""The documentation of Flask through eight releases: what a retrieval index of 2022 would tell a model today, and what the ledger keeps from it.

    python -m examples.flask_docs                 on SQLite, in a temporary folder
    STORE=neo4j python -m examples.flask_docs     on a Neo4j that it starts itself

The pages come from Flask's own source packages when the demo runs; none of their text is kept here.
"""
