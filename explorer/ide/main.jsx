import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import "graphiql/style.css";
import { parse } from "graphql";
import { createClient } from "graphql-sse";
import { createRoot } from "react-dom/client";
import "./page.css";

// This file is /graphql/ide/ide.js, its workers lie beside it, and the operations go to /graphql.
const files = document.currentScript.src;
const url = new URL("..", files).href.slice(0, -1);

globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(`${["json", "graphql"].includes(label) ? label : "editor"}.worker.js`, files)),
};

function isSubscription({ query, operationName }) {
  try {
    return parse(query).definitions.some(
      (one) => one.operation === "subscription" && (!operationName || one.name?.value === operationName),
    );
  } catch {
    return false; // the server tells what is wrong with it
  }
}

// Subscriptions go by server-sent events: unlike a browser's WebSocket they carry the headers typed into the page.
async function fetcher(params, { headers = {} } = {}) {
  if (isSubscription(params)) {
    return createClient({ url, headers, retryAttempts: 0 }).iterate(params);
  }
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...headers },
    body: JSON.stringify(params),
  });
  return answer.json();
}

const FIRST_QUERY = `# Ctrl-Enter runs, Ctrl-Space completes.
# An API key goes under Headers:
#   {"Authorization": "Bearer …"}

query Ledger {
  ledgers
  ledger(name: "main") {
    revision
    states { state reason count }
  }
}

query Why($ref: ID!) {
  why(ref: $ref) {
    verdict { state reason successor { ref } }
    path {
      reason
      entry { id kind ref actor recordedAt }
    }
  }
}
`;

createRoot(document.getElementById("ide")).render(
  <GraphiQL fetcher={fetcher} defaultQuery={FIRST_QUERY} plugins={[HISTORY_PLUGIN]} />,
);
