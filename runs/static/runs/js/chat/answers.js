// What this page answers to a thread's questions.

export class Answers {
  constructor(session) {
    this.session = session;
    /** The run of the answer that was given, and when, until a run begins or the answer is taken back: {run, at}. */
    this.given = null;
    /** The answer that was tried last, which may have arrived: {said, key, params}. */
    this.tried = null;
    /** Resolves when no answer is on its way. */
    this.settled = Promise.resolve();
  }

  /** Answer questions. The same answers are given once, also if they are sent again because the server's answer was lost. */
  give(responses) {
    const giving = this.send(responses);
    this.settled = giving.catch(() => {});
    return giving;
  }

  async send(responses) {
    const { session } = this;
    const said = JSON.stringify(responses);
    if (this.tried?.said !== said) this.tried = { said, key: crypto.randomUUID(), params: { responses, metadata: { parent_run_id: session.newestRun ?? "" } } };
    const { key, params } = this.tried;
    const { run_id: run } = await session.command("input.respond", params, { key });
    this.given = { run, at: performance.now() };
    await session.refresh();
  }

  forget() {
    this.given = this.tried = null;
  }

  /** Nothing runs, and these runs waited: one that has neither begun nor waits was taken back, and the question stands again. */
  look(queued, asked) {
    if (this.given?.at <= asked && !queued.some(({ id }) => id === this.given.run)) this.forget();
  }
}
