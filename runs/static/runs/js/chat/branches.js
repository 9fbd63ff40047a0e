// The versions of a thread's messages. Each run says, in its metadata, which run it follows and which message it brought; runs
// of other clients follow the one before. Pure.

/** A run's place: {id, parent, message, created}. */
export class Branches {
  /** @param runs The thread's runs as the API lists them, newest first. */
  constructor(runs = []) {
    this.runs = new Map();
    let before = null;
    for (const run of [...runs].reverse()) {
      if (run.status === "pending") continue;
      const told = run.metadata ?? {};
      const parent = told.parent_run_id;
      // One that is not there was taken back while it waited.
      const follows = parent === "" ? null : this.runs.has(parent) ? parent : before;
      this.runs.set(run.run_id, { id: run.run_id, parent: follows, message: told.message_id ?? null, status: run.status });
      before = run.run_id;
    }
    this.newest = before;
  }

  ofMessage(id) {
    return id ? [...this.runs.values()].find(({ message }) => message === id) : undefined;
  }

  /** The versions of a message: {place, total, runs}; undefined if it is not known which run brought it. */
  versions(messageId) {
    const run = this.ofMessage(messageId);
    if (!run) return undefined;
    const runs = [...this.runs.values()].filter((each) => each.message && each.parent === run.parent);
    return { place: runs.indexOf(run) + 1, total: runs.length, runs };
  }

  /** The newest run that follows a run, and its followers. */
  leaf(id) {
    const next = [...this.runs.values()].filter(({ parent }) => parent === id).at(-1);
    return next ? this.leaf(next.id) : id;
  }
}
