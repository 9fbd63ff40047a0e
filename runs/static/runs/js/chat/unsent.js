// Messages that were not sent, kept over a reload: by the tab, with large contents apart.

import { fromState, textOf } from "../protocol/messages.js";
import { keep, kept } from "./kept.js";
import { discard, isHeld, store, stored } from "./large.js";

/** Characters of a content that the tab's storage takes. */
const LARGE = 50_000;

/** A message as the log shows it. One whose content is kept apart is `apart`, and `unkept` if that failed. */
export function messageOf({ id, order, instead, state, why, apart = sizeOf(order.content) > LARGE }) {
  return { ...fromState({ type: "human", id, content: order.content }), key: id, order, instead, state, why, apart };
}

const sizeOf = (content) => (typeof content === "string" ? content : JSON.stringify(content)).length;

/** What the tab's storage keeps of a message. */
function keptOf({ id, order, instead, state, why, apart, ...message }) {
  return { id, order: apart ? { ...order, content: textOf(message).slice(0, LARGE) } : order, instead, state, why, apart };
}

export class Unsent {
  /** @param changed Called when a message could not be kept. */
  constructor(name, changed) {
    this.name = name;
    this.changed = changed;
    /** The ids of the messages whose contents are kept apart. */
    this.apart = new Set();
  }

  /** The messages that were kept; those that are `apart` have only their texts until they are completed. */
  read() {
    const messages = (kept(this.name) ?? []).map((each) => messageOf(each));
    this.apart = idsApart(messages);
    return messages;
  }

  /** A message with all of its content; refused if that is not there any more. */
  async complete(message) {
    const { id, order } = message;
    const content = await stored(id).catch(() => undefined);
    if (content === undefined) return { ...message, state: "refused", why: "Its files were not kept." };
    return { ...messageOf({ ...message, order: { ...order, content } }), unkept: isHeld(id) };
  }

  /** Keep these messages, and no others. */
  write(messages) {
    keep(this.name, messages.map(keptOf));
    const before = this.apart;
    this.apart = idsApart(messages);
    for (const id of before) if (!this.apart.has(id)) discard(id).catch(() => {});
    for (const message of messages) if (message.apart && !before.has(message.id)) this.store(message);
  }

  async store(message) {
    try {
      await store(message.id, message.order.content);
    } catch {
      message.unkept = true;
      this.changed();
    }
  }
}

const idsApart = (messages) => new Set(messages.filter(({ apart }) => apart).map(({ id }) => id));
