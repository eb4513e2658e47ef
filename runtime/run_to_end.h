// The body of run_to_end(); included by shard.h only.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>

#include "base/check.h"

namespace ostraka {

// Drives the shard's io_context from the calling thread until the task has ended. The shard must not be running on another thread.
template <class T>
T run_to_end(Shard& shard, Task<T> task) {
  auto guard = boost::asio::make_work_guard(shard.io());
  shard.io().restart();
  if constexpr (std::is_void_v<T>) {
    bool done = false;
    boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
      done = true;
    });
    while (!done) shard.io().run_one();
  } else {
    std::optional<T> out;
    boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e, T value) {
      if (e) std::rethrow_exception(e);
      out.emplace(std::move(value));
    });
    while (!out) shard.io().run_one();
    return std::move(*out);
  }
}

}  // namespace ostraka
