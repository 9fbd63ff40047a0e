// The versions of an open thread: which one is looked at, and how another one is made.

import { Refused } from "../protocol/api.js";
import { fromState } from "../protocol/messages.js";
import { Branches } from "./branches.js";

export class Versions {
  constructor(session) {
    this.session = session;
    this.branches = new Branches();
    /** The runs as the server lists them, newest first, and whether it has older ones. */
    this.listed = [];
    this.hasOlder = false;
    /** Another branch than the newest, if one is looked at: {visit, run, messages, values, checkpoint}. */
    this.view = null;
    /** The visit that was asked for last. */
    this.wanted = null;
  }

  /** Take the thread's runs as the server lists them. */
  take({ runs, older }) {
    const known = this.listed.findIndex(({ run_id: id }) => id === runs.at(-1)?.run_id);
    const rest = older && known >= 0 ? this.listed.slice(known + 1) : [];
    this.hasOlder = rest.length ? this.hasOlder : older;
    this.know([...runs, ...rest]);
  }

  /** Read the runs before the last one that is listed: somebody looks at messages that they have brought. */
  async extend() {
    if (!this.hasOlder || this.isReading) return;
    this.isReading = true;
    const last = this.listed.at(-1).run_id;
    await this.session.quietly(async () => {
      const { runs, older } = await this.session.listRuns(last);
      if (this.listed.at(-1)?.run_id !== last) return;
      this.hasOlder = older;
      this.know([...this.listed, ...runs]);
    });
    this.isReading = false;
  }

  know(runs) {
    this.listed = runs;
    this.branches = new Branches(runs, { isCut: this.hasOlder });
  }

  /** Look at the branch on which a run is. */
  async show(runId) {
    const leaf = this.branches.leaf(runId);
    const visit = (this.wanted = crypto.randomUUID());
    let view = null;
    if (leaf !== this.branches.newest) {
      const state = await this.tip(leaf);
      // Another version was picked meanwhile, or a message was sent.
      if (this.wanted !== visit) return;
      if (!state) throw new Refused(404, "This version is not there any more.");
      const values = state.values ?? {};
      const messages = (values.messages ?? []).map((each, place) => ({ ...fromState(each), key: each.id ?? `#${place}` }));
      view = { visit, run: leaf, messages, values, checkpoint: state.checkpoint.checkpoint_id };
    }
    this.turnTo(view);
    this.session.changed();
  }

  /** Look at another version, or at the newest. */
  turnTo(view) {
    this.view = view;
    this.wanted = view?.visit ?? null;
    this.session.dispatchEvent(new CustomEvent("branch", { detail: view?.run ?? null }));
  }

  /** Say something else in a message's place, if it is still wanted when it is known where that stands. */
  async edit(messageId, content, options, isWanted = () => true) {
    const run = this.branches.ofMessage(messageId);
    const checkpoint = (run.parent && (await this.tip(run.parent))?.checkpoint.checkpoint_id) || (await this.beginning(run.id));
    if (isWanted()) this.session.outbox.send(content, { ...options, from: run.parent, checkpoint, instead: messageId });
  }

  /** The state that a run has left, or the one before it that has left any: one that was cancelled early has none. */
  async tip(runId) {
    for (let id = runId; id; id = this.branches.runs.get(id)?.parent) {
      const state = await this.newestState({ run_id: id });
      if (state) return state;
    }
    return null;
  }

  /** Where a thread's first run began: the checkpoint of its input, which nothing stands before. */
  async beginning(runId) {
    return (await this.newestState({ run_id: runId, source: "input" }))?.checkpoint?.checkpoint_id;
  }

  async newestState(metadata) {
    const { api, id } = this.session;
    const [state] = await api.post(`threads/${id}/history`, { limit: 1, metadata });
    return state;
  }
}
