import * as z from 'zod/mini'

// To be imported before any schema is used. zod would write a program for each schema it meets and have it compiled;
// here schemas read settings, policy and records, a few times a minute, and a start would wait for the compiler.
z.config({ jitless: true })
