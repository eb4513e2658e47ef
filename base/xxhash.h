// xxHash, by the widest instructions that the CPU has. Plain <xxhash.h> would use those that every CPU has.
#pragma once

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
