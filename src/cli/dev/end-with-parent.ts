// Read before the entry point (`node --import`) by a broker that must not outlive whoever started it, however that one ends.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The listener alone would keep a broker alive that could not start, and whoever started it waiting for its end.
process.channel?.unref()
