// All locks of the process: there is only one thread, so whoever finds one taken is a fiber, or the loop, and
// its holder is a fiber that waits for its device. Real threads would wait for it; so do these.
#include <pthread.h>
#include <cerrno>

#include "tests/sim/sim_workers.h"

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  for (;;) {
    const int error = pthread_mutex_trylock(mutex);
    if (error != EBUSY) return error;
    ostraka::sim::FiberScheduler* scheduler = ostraka::sim::FiberScheduler::current();
    if (scheduler == nullptr) return EDEADLK;
    scheduler->wait_for_lock();
  }
}
