/** One line on the console, which is where Workers take their logs from; a line of JSON is found by its members. */
export function writeConsoleLine(line: string): void {
  console.log(line)
}
