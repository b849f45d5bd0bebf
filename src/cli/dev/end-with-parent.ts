// Read before the door (`node --import`) by a broker that must not outlive whoever started it, however that one ends.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
