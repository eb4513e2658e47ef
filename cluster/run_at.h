// Carries a task out on another shard and gives its result to the one that waits.
#pragma once

#include <memory>
#include <utility>

#include "base/result.h"
#include "runtime/gate.h"
#include "runtime/task.h"

namespace ostraka::cluster {

template <class T>
Task<> run_and_tell(Task<Result<T>> task, std::shared_ptr<Completion<Result<T>>> done) {
  Result<T> result = co_await std::move(task);
  (*done)(std::move(result));
}

// Inside the gate; Errc::closed when that is closed. The task's arguments are its own, or outlive the wait.
template <class T>
Task<Result<T>> run_at(Gate& gate, IoExecutor executor, Task<Result<T>> task) {
  auto start = [&gate, &executor, &task](Completion<Result<T>> completion) {
    auto done = std::make_shared<Completion<Result<T>>>(std::move(completion));
    if (!gate.spawn(executor, run_and_tell(std::move(task), done))) (*done)(fail(Errc::closed, "closed"));
  };
  co_return co_await suspend<Result<T>>(start);
}

}  // namespace ostraka::cluster
