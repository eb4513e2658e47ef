// Fiber: a job with a stack of its own, which can stop in the middle of a call that blocks and go on later.
// So all threads of a simulated drive run on one.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>

namespace ostraka::sim {

class Fiber {
 public:
  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();  // must not be inside a job

  // Runs until the job ends or stops. True: it has ended.
  bool begin(std::function<void()> job);
  bool go_on();
  bool busy() const noexcept { return static_cast<bool>(job_); }
  static Fiber* current() noexcept;  // nullptr: on the loop itself
  static void stop();                // the current one, until somebody calls go_on()

 private:
  static void main();
  bool enter();
  std::unique_ptr<char[]> stack_;
  ucontext_t here_{}, back_{};
  std::function<void()> job_;
};

}  // namespace ostraka::sim
