/**
 * So long a data key that was had serves on while Cloud KMS cannot be asked and has not refused (P20): an outage of
 * half a day costs nobody a token, and a key that was taken away there is of no use here the day after.
 */
export const serveOnMs = 12 * 3_600_000
