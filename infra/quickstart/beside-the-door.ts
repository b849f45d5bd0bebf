// Read before the door (`node --import`) in the quickstart's broker, which ends when the quickstart ends, however that
// ends.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
