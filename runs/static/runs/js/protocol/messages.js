// Messages as pages show them, from the two forms in which they come: the state's, and the stream's. Pure.
//
// A page's message is {id, role, name, blocks, …}, where a block is {type: "text", text}, {type: "reasoning", text},
// {type: "call", id, name, args, argsText}, {type: "image", url}, {type: "file", name} or {type: "other", value}. One of a state
// has its `content` too, as it was written.

const ROLES = { human: "human", user: "human", ai: "ai", assistant: "ai", AIMessageChunk: "ai", tool: "tool", system: "system" };

/** A message of a thread's state. */
export function fromState(message) {
  const role = ROLES[message.type ?? message.role] ?? "other";
  const blocks = blocksOf(message);
  return {
    id: message.id ?? null,
    role,
    name: message.name ?? null,
    blocks,
    content: message.content ?? null,
    callId: message.tool_call_id ?? null,
    failed: message.status === "error",
    usage: message.usage_metadata ?? null,
  };
}

function blocksOf(message) {
  const { content } = message;
  const blocks = [];
  const reasoning = message.additional_kwargs?.reasoning_content;
  if (typeof reasoning === "string" && reasoning) blocks.push({ type: "reasoning", text: reasoning });
  if (typeof content === "string") {
    if (content) blocks.push({ type: "text", text: content });
  } else if (Array.isArray(content)) {
    for (const block of content) blocks.push(...blockOf(block));
  } else if (content != null) {
    blocks.push({ type: "other", value: content });
  }
  const called = new Set(blocks.filter((block) => block.type === "call").map((block) => block.id));
  for (const call of [...(message.tool_calls ?? []), ...(message.invalid_tool_calls ?? [])]) {
    if (!called.has(call.id)) blocks.push(callBlock(call));
  }
  return blocks;
}

/** The blocks that a page shows of one of a message's content. */
export function blockOf(block) {
  if (typeof block === "string") return block ? [{ type: "text", text: block }] : [];
  if (block === null || typeof block !== "object") return [{ type: "other", value: block }];
  switch (block.type) {
    case "text":
    case "output_text":
    case "input_text":
      return block.text ? [{ type: "text", text: String(block.text) }] : [];
    case "reasoning":
    case "thinking": {
      const text = block.reasoning ?? block.thinking ?? block.text ?? "";
      return text ? [{ type: "reasoning", text: String(text) }] : [];
    }
    case "tool_call":
    case "tool_use":
    case "invalid_tool_call":
    case "server_tool_call":
      return [callBlock({ ...block, args: block.args ?? block.input })];
    case "tool_call_chunk":
    case "server_tool_call_chunk":
    case "input_json_delta":
      return [];
    case "image_url":
      return [{ type: "image", url: typeof block.image_url === "string" ? block.image_url : block.image_url?.url ?? "" }];
    case "image":
      return [{ type: "image", url: imageUrl(block) }];
    case "file":
    case "text-plain":
      return [{ type: "file", name: block.filename ?? block.metadata?.filename ?? block.file?.filename ?? block.metadata?.name ?? "File", mime: block.mime_type ?? "" }];
    default:
      return [{ type: "other", value: block }];
  }
}

function imageUrl(block) {
  const data = block.base64 ?? block.data ?? block.source?.data;
  const mime = block.mime_type ?? block.source?.media_type ?? "image/png";
  return data ? `data:${mime};base64,${data}` : block.url ?? "";
}

function callBlock(call) {
  const whole = call.args !== null && typeof call.args === "object";
  return { type: "call", id: call.id ?? null, name: call.name ?? "", args: whole ? call.args : null, argsText: typeof call.args === "string" ? call.args : "", whole };
}

/** The text of a message without its reasoning and calls. */
export const textOf = (message) => message.blocks.filter(({ type }) => type === "text").map(({ text }) => text).join("\n\n");

/** A message that is being streamed: feed it the data of the events of the `messages` channel. */
export class StreamedMessage {
  constructor(data, { namespace, node, time }) {
    this.id = data.id ?? null;
    this.key = this.id;
    this.role = ROLES[data.role] ?? "ai";
    this.name = node ?? null;
    this.namespace = namespace;
    this.node = node ?? null;
    this.blocks = [];
    this.usage = null;
    this.startedAt = time;
    this.endedAt = null;
    this.done = false;
    /** Whether the attempt that streamed it was lost, so that the next one says it anew. */
    this.lost = false;
    /** A lost message in whose place this one stands. */
    this.instead = null;
  }

  feed(data, time) {
    switch (data.event) {
      case "content-block-start":
        this.blocks[data.index] = { ...(begun(data.content) ?? { type: "other", value: data.content }), startedAt: time };
        break;
      case "content-block-delta":
        this.grow(this.blocks[data.index], data.delta);
        break;
      case "content-block-finish": {
        const [block] = blockOf(data.content);
        if (block) this.blocks[data.index] = { ...this.blocks[data.index], ...block, endedAt: time };
        break;
      }
      case "message-finish":
        this.usage = data.usage ?? null;
        this.endedAt = time;
        this.done = true;
        break;
      case "error":
        this.endedAt = time;
        this.done = true;
        this.cut = true;
        break;
    }
  }

  grow(block, delta) {
    if (!block) return;
    if (delta.type === "text-delta") block.text = (block.text ?? "") + delta.text;
    else if (delta.type === "reasoning-delta") block.text = (block.text ?? "") + delta.reasoning;
    else if (delta.type === "tool-call-delta") block.argsText = (block.argsText ?? "") + delta.args;
    else if (delta.type === "block-delta") Object.assign(block, delta.fields ?? {});
  }

  get text() {
    return textOf({ blocks: this.blocks.filter(Boolean) });
  }

  /** As pages show it: while it catches up with the lost one that it stands for, that one's words stay. */
  shown() {
    const blocks = this.blocks.filter(Boolean);
    const before = this.instead?.shown();
    const ahead = before && !this.done && textOf(before).startsWith(this.text) && textOf(before).length > this.text.length;
    return {
      id: this.id,
      key: this.key,
      role: this.role,
      name: this.name,
      blocks: ahead ? before.blocks : blocks,
      usage: this.usage,
      streaming: !this.done && !this.lost,
      lost: this.lost,
      startedAt: this.startedAt,
      endedAt: this.endedAt,
    };
  }
}

/** A block as it begins. */
function begun(content) {
  switch (content?.type) {
    case "text":
      return { type: "text", text: content.text ?? "" };
    case "reasoning":
      return { type: "reasoning", text: content.reasoning ?? "" };
    case "tool_call":
    case "tool_call_chunk":
    case "server_tool_call":
    case "server_tool_call_chunk":
      return { type: "call", id: content.id ?? null, name: content.name ?? "", args: null, argsText: typeof content.args === "string" ? content.args : "", whole: false };
    default:
      return blockOf(content)[0];
  }
}
