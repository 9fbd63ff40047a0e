// A small chat page over a stock hook. Tests read its content and history:
// `?hook=legacy|v2&transport=sse|websocket#THREAD`, and for a page of another origin `&api=URL&key=KEY`.
import { createRoot } from "react-dom/client";
import { useEffect, useRef, useState } from "react";
import { useStream as useLegacyStream } from "@langchain/langgraph-sdk/react";
import { useMessageMetadata, useMessages, useStream } from "@langchain/react";

const asked = new URLSearchParams(location.search);
const apiUrl = asked.get("api") ?? location.origin;
const apiKey = asked.get("key");
const assistantId = "obeying";

/** The thread is in the address, so that a reload opens it again. */
function useThread() {
  const [threadId, setThreadId] = useState(location.hash.slice(1) || null);
  const onThreadId = (id) => {
    history.replaceState(null, "", `#${id}`);
    setThreadId(id);
  };
  return { threadId, onThreadId };
}

const text = (content) =>
  typeof content === "string" ? content : content.map((block) => block.text ?? "").join("");
const say = (words) => ({ messages: [{ type: "human", content: words }] });

/** Several interrupts are answered together, in the order of their ids, separated by commas. */
const answers = (interrupts, words) =>
  Object.fromEntries([...interrupts].sort((a, b) => (asking(a) < asking(b) ? -1 : 1)).map(({ id }, place) => [id, words.split(",")[place]]));
const asking = ({ value }) => value?.question ?? "";

/** The v2 hook's connection. A browser's websocket takes no headers: the key is a subprotocol there, and a header of `fetch`. */
function connection() {
  const transport = asked.get("transport") ?? "sse";
  if (transport === "sse" || apiKey === null) return { transport, apiKey };
  const fetchWithKey = (address, init) => {
    const headers = new Headers(init?.headers);
    headers.set("x-api-key", apiKey);
    return fetch(address, { ...init, headers });
  };
  return {
    transport,
    apiKey: null,
    webSocketFactory: (address) => new WebSocket(address, ["api-key", apiKey]),
    callerOptions: { fetch: fetchWithKey },
  };
}
const connected = connection();

function Legacy() {
  const stream = useLegacyStream({
    apiUrl,
    apiKey,
    assistantId,
    reconnectOnMount: true,
    fetchStateHistory: { limit: 100 },
    onError: console.warn,
    ...useThread(),
  });
  const options = { streamSubgraphs: true };
  const before = (message) => stream.getMessagesMetadata(message)?.firstSeenState?.parent_checkpoint;
  return (
    <Chat
      messages={stream.messages.map((message) => ({
        ...message,
        branches: stream.getMessagesMetadata(message)?.branchOptions,
        branch: stream.getMessagesMetadata(message)?.branch,
        fork: (words) => stream.submit(say(words), { ...options, checkpoint: before(message) }),
        again: () => stream.submit(undefined, { ...options, checkpoint: before(message) }),
      }))}
      show={(branch) => stream.setBranch(branch)}
      tools={stream.toolCalls.map(({ call, state, result }) => ({ name: call.name, args: call.args, state, output: result?.content }))}
      questions={stream.interrupts.map(asking)}
      busy={stream.isLoading || stream.isThreadLoading}
      error={stream.error}
      submit={(words) => stream.submit(say(words), options)}
      answer={(words) => stream.submit(undefined, { command: { resume: stream.interrupts.length > 1 ? answers(stream.interrupts, words) : words } })}
      stop={() => stream.stop()}
    />
  );
}

function Protocol() {
  const stream = useStream({ apiUrl, assistantId, ...connected, ...useThread() });
  // `useMessageMetadata` names one checkpoint for all messages, the newest step's parent; the history is exact.
  const before = async ({ id }) => {
    const states = await stream.client.threads.getHistory(stream.threadId, { limit: 100 });
    const first = states.findLast(({ values }) => values.messages?.some((message) => message.id === id));
    return { forkFrom: first.parent_checkpoint.checkpoint_id };
  };
  return (
    <Chat
      messages={stream.messages.map((message) => ({
        id: message.id,
        type: message.type,
        content: message.content,
        tool_calls: message.tool_calls,
        fork: async (words) => stream.submit(say(words), await before(message)),
        again: async () => stream.submit(null, await before(message)),
      }))}
      tools={stream.toolCalls.map(({ name, args, input, status, output }) => ({ name, args: args ?? input, state: status, output: output?.content ?? output }))}
      questions={stream.interrupts.map(asking)}
      busy={stream.isLoading || stream.isThreadLoading}
      error={stream.error}
      submit={(words) => stream.submit(say(words))}
      answer={(words) => (stream.interrupts.length > 1 ? stream.respondAll(answers(stream.interrupts, words)) : stream.respond(words, { interruptId: stream.interrupts[0].id }))}
      stop={() => stream.stop()}
      parents={stream.messages.map(({ id }) => (
        <Parent key={id} stream={stream} id={id} />
      ))}
    >
      {[...stream.subgraphs.values()].map((subgraph) => (
        <Subgraph key={subgraph.id ?? subgraph.namespace.join("|")} stream={stream} subgraph={subgraph} />
      ))}
    </Chat>
  );
}

/** The checkpoint at which the hook lets a message be forked. */
function Parent({ stream, id }) {
  return <li>{useMessageMetadata(stream, id)?.parentCheckpointId}</li>;
}

function Subgraph({ stream, subgraph }) {
  const messages = useMessages(stream, subgraph);
  return (
    <li className="subgraph" data-status={subgraph.status}>
      {subgraph.namespace.at(-1).split(":")[0]}: {messages.map(({ content }) => text(content)).join("")}
    </li>
  );
}

function Chat({ messages, show, tools, questions, busy, error, submit, answer, stop, parents, children }) {
  const field = useRef(null);
  const shown = messages.map(({ content }) => text(content)).join("\n");
  const calls = JSON.stringify(messages.flatMap(({ tool_calls }) => tool_calls ?? []).map(({ args }) => args));
  useEffect(() => void window.seen.push(shown), [shown]);
  useEffect(() => void window.calls.push(calls), [calls]);
  const words = () => field.current.value;
  return (
    <main>
      <ol id="messages">
        {messages.map(({ id, type, content, fork, again, branch, branches }, place) => (
          <li key={id ?? place} className={type}>
            <span>{text(content)}</span>
            <button className="fork" onClick={() => fork(words())}>fork</button>
            <button className="again" onClick={() => again()}>again</button>
            {branches?.map((each, number) => (
              <button key={each} className="branch" disabled={each === branch} onClick={() => show(each)}>{number + 1}</button>
            ))}
          </li>
        ))}
      </ol>
      <ol id="parents">{parents}</ol>
      <ul id="tools">
        {tools.map(({ name, args, state, output }, place) => (
          <li key={place} data-state={state}>
            {name} {JSON.stringify(args)} {String(output ?? "")}
          </li>
        ))}
      </ul>
      <ul id="subgraphs">{children}</ul>
      {questions.map((question, place) => (
        <p key={place} className="question">{question}</p>
      ))}
      {error && <p id="error">{String(error.message ?? error)}</p>}
      <input ref={field} id="words" />
      <button id="send" onClick={() => submit(words())}>send</button>
      <button id="answer" onClick={() => answer(words())}>answer</button>
      <button id="stop" onClick={() => stop()}>stop</button>
      <p id="state">{busy ? "busy" : "idle"}</p>
    </main>
  );
}

const Page = asked.get("hook") === "v2" ? Protocol : Legacy;
const root = createRoot(document.getElementById("root"));

/** Start again without a thread. */
window.fresh = () => {
  if (window.seen) history.replaceState(null, "", "#");
  window.seen = [];
  window.calls = [];
  root.render(<Page key={crypto.randomUUID()} />);
};
window.fresh();
