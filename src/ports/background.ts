/** Work that may go on after the answer has left. */
export interface Background {
  /** Whether there is CPU after the answer. Where there is none, whoever has such work does it before answering. */
  readonly runsAfterAnswer: boolean
  /** Starts `work` now; its failure is logged and hurts nobody. */
  run(work: () => Promise<void>): void
}
