// Messages that were removed although they may have arrived: the server's answer was lost, or was not awaited.

import { keep, kept } from "./kept.js";

/** Milliseconds after which a request that was on its way does not arrive any more. */
const LATE = 120_000;

export class Withdrawn {
  /** @param takeBack Takes a run back, with what it has done. */
  constructor(name, takeBack) {
    this.name = name;
    this.takeBack = takeBack;
    /** {id, at} of each message, with the time of its removal. */
    this.all = kept(name) ?? [];
  }

  add(id) {
    this.set([...this.all, { id, at: Date.now() }]);
  }

  /** Take back those that have arrived, as the thread's runs tell. Rejects if one could not be; it is tried again. */
  async settle(runs) {
    const late = Date.now() - LATE;
    const isOpen = ({ id, at }) => at > late && !found.some(({ message }) => message === id);
    const found = runs.filter(({ message }) => this.all.some(({ id }) => id === message));
    this.set(this.all.filter(isOpen));
    for (const { message, run_id: run } of found) {
      await this.takeBack(run).catch((error) => {
        this.add(message);
        throw error;
      });
    }
  }

  set(all) {
    if (!all.length && !this.all.length) return;
    this.all = all;
    keep(this.name, all);
  }
}
