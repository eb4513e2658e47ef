// Task<T>: the coroutine type of the project, an asio awaitable bound to the single-threaded io_context of
// one shard. Rules that g++ 12 and lifetime force on us are in runtime/README.md ("Writing coroutines").
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

namespace ostraka {

using IoExecutor = boost::asio::io_context::executor_type;

template <class T = void>
using Task = boost::asio::awaitable<T, IoExecutor>;

inline constexpr boost::asio::use_awaitable_t<IoExecutor> kAwait{};

// Wakes one suspended coroutine with a value. Call it exactly once, from any thread; the coroutine goes on on
// its own executor, never inside the call. It owns the coroutine: destroying it without a call destroys the
// coroutine's frames on its executor, whose io_context must still be there.
template <class T>
class Completion {
 public:
  Completion() = default;
  template <class Handler>
  explicit Completion(Handler handler) : impl_(std::make_unique<Impl<Handler>>(std::move(handler))) {}
  explicit operator bool() const noexcept { return impl_ != nullptr; }
  void operator()(T value) { std::exchange(impl_, nullptr)->complete(std::move(value)); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void complete(T value) = 0;
  };
  template <class Handler>
  struct Impl final : Base {
    explicit Impl(Handler h) : handler(std::move(h)) {}
    void complete(T value) override {
      const auto executor = boost::asio::get_associated_executor(handler);
      Resume resume{std::move(handler), std::move(value)};
      boost::asio::post(executor, std::move(resume));
    }
    struct Resume {
      Handler handler;
      T value;
      void operator()() { std::move(handler)(std::move(value)); }
    };
    Handler handler;
  };
  std::unique_ptr<Base> impl_;
};

// co_await suspend<T>(start): suspends, then calls start(Completion<T>) which arranges for the completion to
// be called. Name a capturing start on a line of its own (runtime/README.md).
template <class T, class Start>
auto suspend(Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>, void(T)>(
      [](auto handler, Start call) { call(Completion<T>(std::move(handler))); }, kAwait, std::move(start));
}

}  // namespace ostraka
