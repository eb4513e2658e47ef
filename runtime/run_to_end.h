// The body of run_to_end(); included by shard.h only.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <exception>
#include <optional>
#include <type_traits>

namespace ostraka {

// Through an optional, so that T needs no default constructor.
template <class T>
Task<> store_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

template <class T>
T run_to_end(Shard& shard, Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    const auto guard = boost::asio::make_work_guard(shard.io());
    bool done = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
      failure = std::move(e);
      done = true;
    });
    shard.io().restart();
    while (!done) shard.io().run_one();
    if (failure) std::rethrow_exception(failure);
  } else {
    std::optional<T> out;
    run_to_end(shard, store_result(std::move(task), &out));
    return std::move(*out);
  }
}

}  // namespace ostraka
