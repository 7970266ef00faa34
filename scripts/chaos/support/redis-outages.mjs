/** How Redis fails, and how it comes back. */
export const outages = {
  killed: {
    breakIt: ({ server }) => server.kill(),
    mendIt: ({ server }) => server.start(),
  },
  'stopped (SIGSTOP)': {
    breakIt: ({ server }) => server.signal('SIGSTOP'),
    mendIt: ({ server }) => server.signal('SIGCONT'),
  },
  'slow (100 ms each way)': {
    breakIt: ({ proxy }) => proxy.slow(100),
    mendIt: ({ proxy }) => proxy.slow(0),
  },
  'half-open (bytes do not arrive), until connections are reset': {
    breakIt: ({ proxy }) => proxy.swallow(),
    mendIt: ({ proxy }) => proxy.reset(),
  },
  'half-open, and nobody ever says a word': {
    breakIt: ({ proxy }) => proxy.swallow(),
    mendIt: ({ proxy }) => proxy.heal(),
    // The driver has to give up the connection first, which node-redis leaves to the operating system.
    backMs: 2_000,
    by: ['ioredis'],
  },
  'a read-only replica': {
    breakIt: ({ server }) => server.command('REPLICAOF 127.0.0.1 1'),
    mendIt: ({ server }) => server.command('REPLICAOF NO ONE'),
  },
  'out of memory (noeviction)': {
    breakIt: ({ server }) => server.command('CONFIG SET maxmemory 1'),
    mendIt: ({ server }) => server.command('CONFIG SET maxmemory 0'),
  },
  'refusing the password': {
    password: 'right',
    breakIt: ({ server }) =>
      server.command('AUTH right', 'CONFIG SET requirepass another', 'CLIENT KILL TYPE normal'),
    mendIt: ({ server }) => server.command('AUTH another', 'CONFIG SET requirepass right'),
  },
}
