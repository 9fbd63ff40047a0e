// A small chat page over a stock hook. What it shows, and how it got there, is for the tests to read:
// `?hook=legacy|v2&transport=sse|websocket#THREAD`.
import { createRoot } from "react-dom/client";
import { useEffect, useRef, useState } from "react";
import { useStream as useLegacyStream } from "@langchain/langgraph-sdk/react";
import { useMessages, useStream } from "@langchain/react";

const asked = new URLSearchParams(location.search);
const apiUrl = location.origin;
const assistantId = "obeying";

/** The thread is in the address, so that a reload comes back to it. */
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

function Legacy() {
  const stream = useLegacyStream({
    apiUrl,
    apiKey: null,
    assistantId,
    reconnectOnMount: true,
    fetchStateHistory: true,
    onError: console.warn,
    ...useThread(),
  });
  const branch = (message) => {
    const { parent_checkpoint: checkpoint } = stream.getMessagesMetadata(message).firstSeenState;
    return (words) => stream.submit(say(words), { checkpoint, streamSubgraphs: true });
  };
  return (
    <Chat
      messages={stream.messages.map((message) => ({ ...message, fork: branch }))}
      tools={stream.toolCalls.map(({ call, state, result }) => ({ name: call.name, args: call.args, state, output: result?.content }))}
      question={stream.interrupt?.value?.question}
      busy={stream.isLoading || stream.isThreadLoading}
      error={stream.error}
      submit={(words) => stream.submit(say(words), { streamSubgraphs: true })}
      answer={(words) => stream.submit(undefined, { command: { resume: words } })}
      stop={() => stream.stop()}
    />
  );
}

function Protocol() {
  const stream = useStream({
    apiUrl,
    apiKey: null,
    assistantId,
    transport: asked.get("transport") ?? "sse",
    ...useThread(),
  });
  // `useMessageMetadata` names one checkpoint for all messages, the newest step's parent: the history knows better.
  const branch = ({ id }) => async (words) => {
    const states = await stream.client.threads.getHistory(stream.threadId, { limit: 100 });
    const first = states.findLast(({ values }) => values.messages?.some((message) => message.id === id));
    await stream.submit(say(words), { forkFrom: first.parent_checkpoint.checkpoint_id });
  };
  return (
    <Chat
      messages={stream.messages.map(({ id, type, content }) => ({ id, type, content, fork: branch }))}
      tools={stream.toolCalls.map(({ name, args, input, status, output }) => ({ name, args: args ?? input, state: status, output: output?.content ?? output }))}
      question={stream.interrupt?.value?.question}
      busy={stream.isLoading || stream.isThreadLoading}
      error={stream.error}
      submit={(words) => stream.submit(say(words))}
      answer={(words) => stream.respond(words, { interruptId: stream.interrupt.id })}
      stop={() => stream.stop()}
    >
      {[...stream.subgraphs.values()].map((subgraph) => (
        <Subgraph key={subgraph.id ?? subgraph.namespace.join("|")} stream={stream} subgraph={subgraph} />
      ))}
    </Chat>
  );
}

function Subgraph({ stream, subgraph }) {
  const messages = useMessages(stream, subgraph);
  return (
    <li className="subgraph" data-status={subgraph.status}>
      {subgraph.namespace.at(-1).split(":")[0]}: {messages.map(({ content }) => text(content)).join("")}
    </li>
  );
}

function Chat({ messages, tools, question, busy, error, submit, answer, stop, children }) {
  const field = useRef(null);
  const shown = messages.map(({ content }) => text(content)).join("\n");
  useEffect(() => void (window.seen ??= []).push(shown), [shown]);
  const words = () => field.current.value;
  return (
    <main>
      <ol id="messages">
        {messages.map((message, place) => (
          <li key={message.id ?? place} className={message.type}>
            <span>{text(message.content)}</span>
            {message.type === "human" && (
              <button className="fork" onClick={() => message.fork(message)(words())}>
                fork
              </button>
            )}
          </li>
        ))}
      </ol>
      <ul id="tools">
        {tools.map(({ name, args, state, output }, place) => (
          <li key={place} data-state={state}>
            {name} {JSON.stringify(args)} {String(output ?? "")}
          </li>
        ))}
      </ul>
      <ul id="subgraphs">{children}</ul>
      {question && <p id="question">{question}</p>}
      {error && <p id="error">{String(error.message ?? error)}</p>}
      <input ref={field} id="words" />
      <button id="send" onClick={() => submit(words())}>send</button>
      <button id="answer" onClick={() => answer(words())}>answer</button>
      <button id="stop" onClick={() => stop()}>stop</button>
      <p id="state">{busy ? "busy" : "idle"}</p>
    </main>
  );
}

createRoot(document.getElementById("root")).render(asked.get("hook") === "v2" ? <Protocol /> : <Legacy />);
