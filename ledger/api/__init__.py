"""What other machines talk to: HTTP and GraphQL. It parses, asks the service, and renders."""
