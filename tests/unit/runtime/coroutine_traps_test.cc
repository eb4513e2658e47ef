// What g++ 12 does wrong around co_await, as running examples, and the proof that the forms this project uses
// are free of it. When a test of KnownBad fails, the compiler has been mended: take the rule out of
// runtime/README.md and the test out of here.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "base/result.h"
#include "runtime/shard.h"

namespace ostraka {
namespace {

// Counts how often an object is destroyed that is not alive.
struct Ledger {
  std::set<const void*> alive;
  int destroyed_twice = 0;
};

class Traced {
 public:
  explicit Traced(Ledger* ledger) : ledger_(ledger) { ledger_->alive.insert(this); }
  Traced(const Traced& other) : ledger_(other.ledger_) { ledger_->alive.insert(this); }
  Traced(Traced&& other) noexcept : ledger_(other.ledger_) { ledger_->alive.insert(this); }
  Traced& operator=(const Traced&) = delete;
  Traced& operator=(Traced&&) = delete;
  ~Traced() {
    if (ledger_->alive.erase(this) == 0) ++ledger_->destroyed_twice;
  }

 private:
  Ledger* ledger_;
};

struct Spec {
  Traced traced;
  int number = 0;
};

Task<int> take(Traced) {
  co_return 1;
}
Task<int> take_spec(Spec spec) {
  co_return spec.number;
}
Task<int> take_spec_ref(const Spec& spec) {
  co_return spec.number;
}
template <class F>
Task<int> call(F f) {
  co_return f();
}
Task<int> call_function(std::function<int()> f) {
  co_return f();
}
Task<Result<int>> give(Traced, int number) {
  co_return number;
}
Task<Result<int>> refuse(Traced) {
  co_return fail(Errc::io, "a text that is long enough for the heap");
}
Task<Result<>> agree(Traced) {
  co_return Result<>();
}

struct Outcome {
  int destroyed_twice;
  std::size_t left_alive;
};

// Each example gets the ledger; what it returns does not matter.
Outcome run(Task<int> (*example)(Ledger*)) {
  SystemClock clock;
  Ledger ledger;
  {
    const ShardSpec small{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1};
    Shard shard(0, clock, small);
    run_to_end(shard, example(&ledger));
  }
  return {ledger.destroyed_twice, ledger.alive.size()};
}

void expect_clean(Task<int> (*example)(Ledger*)) {
  const Outcome outcome = run(example);
  EXPECT_EQ(outcome.destroyed_twice, 0);
  EXPECT_EQ(outcome.left_alive, 0U);
}

Task<int> bad_capturing_lambda(Ledger* ledger) {
  Traced traced(ledger);
  co_return co_await call([traced] { return 1; });
}
Task<int> bad_lambda_as_function(Ledger* ledger) {
  Traced traced(ledger);
  co_return co_await call_function([traced] { return 1; });
}
Task<int> bad_aggregate(Ledger* ledger) {
  Traced traced(ledger);
  co_return co_await take_spec(Spec{traced, 1});
}
Task<int> bad_braces(Ledger* ledger) {
  Traced traced(ledger);
  co_return co_await take_spec({traced, 1});
}
Task<int> bad_aggregate_by_reference(Ledger* ledger) {
  Traced traced(ledger);
  co_return co_await take_spec_ref(Spec{traced, 1});
}
Task<int> bad_conditional(Ledger* ledger) {
  Traced traced(ledger);
  const bool yes = !ledger->alive.empty();
  co_return co_await take(yes ? traced : Traced(ledger));
}

Task<int> good_named_lambda(Ledger* ledger) {
  Traced traced(ledger);
  auto named = [traced] { return 1; };
  const int copied = co_await call(named);
  co_return copied + co_await call(std::move(named));
}
Task<int> good_named_function(Ledger* ledger) {
  Traced traced(ledger);
  auto named = [traced] { return 1; };
  co_return co_await call_function(named);
}
Task<int> good_named_aggregate(Ledger* ledger) {
  Traced traced(ledger);
  const Spec spec{traced, 1};
  const int copied = co_await take_spec(spec);
  co_return copied + co_await take_spec_ref(spec);
}
Task<int> good_copies_moves_and_constructors(Ledger* ledger) {
  Traced traced(ledger);
  const int copied = co_await take(traced);
  const int built = co_await take(Traced(ledger));
  co_return copied + built + co_await take(std::move(traced));
}
Task<int> good_suspend(Ledger* ledger) {
  Traced traced(ledger);
  auto start = [traced](Completion<int> done) { done(1); };
  co_return co_await suspend<int>(std::move(start));
}

Task<Result<int>> macros_that_pass(Ledger* ledger) {
  Traced traced(ledger);
  CO_TRY(number, co_await give(traced, 7));
  CO_TRY_VOID(co_await agree(traced));
  CO_TRY(moved, co_await give(std::move(traced), 8));
  co_return number + moved;
}
Task<Result<int>> macros_that_stop(Ledger* ledger) {
  Traced traced(ledger);
  CO_TRY(number, co_await refuse(traced));
  co_return number;
}
Task<Result<int>> void_macro_that_stops(Ledger* ledger) {
  Traced traced(ledger);
  CO_TRY_VOID(co_await refuse(traced));
  co_return 1;
}
Task<int> good_macros(Ledger* ledger) {
  const Result<int> passed = co_await macros_that_pass(ledger);
  EXPECT_EQ(passed.value_or(0), 15);
  const Result<int> stopped = co_await macros_that_stop(ledger);
  EXPECT_TRUE(stopped.failed_with(Errc::io));
  EXPECT_EQ(stopped.error().detail, "a text that is long enough for the heap");
  const Result<int> void_stopped = co_await void_macro_that_stops(ledger);
  EXPECT_TRUE(void_stopped.failed_with(Errc::io));
  co_return 0;
}

TEST(CoroutineTraps, NamedArgumentsAreDestroyedOnce) {
  expect_clean(good_named_lambda);
  expect_clean(good_named_function);
  expect_clean(good_named_aggregate);
}
TEST(CoroutineTraps, CopiesMovesAndConstructorsAreDestroyedOnce) {
  expect_clean(good_copies_moves_and_constructors);
}
TEST(CoroutineTraps, SuspendDestroysItsStartOnce) {
  expect_clean(good_suspend);
}
TEST(CoroutineTraps, TryMacrosDestroyOnce) {
  expect_clean(good_macros);
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
constexpr bool kCompilerIsBad = true;
#else
constexpr bool kCompilerIsBad = false;
#endif

TEST(CoroutineTraps, KnownBadOnGcc12) {
  for (auto* example : {bad_capturing_lambda, bad_lambda_as_function, bad_aggregate, bad_braces,
                        bad_aggregate_by_reference, bad_conditional}) {
    EXPECT_EQ(run(example).destroyed_twice > 0, kCompilerIsBad);
  }
}

}  // namespace
}  // namespace ostraka
