/** Proves one promise at its real size; gives back what was not as promised. `say` prints a line. */
export type Proof = (say: (line: string) => void) => Promise<readonly string[]>
