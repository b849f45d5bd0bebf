/** Begins each line in which a child process tells that it tried to leave this machine. */
export const escapeMarker = 'OUTBOUND REFUSED: '
