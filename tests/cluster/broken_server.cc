// The server without commit leases among the requests of a node: whoever asks for one has it at once. The
// drives' own checks then are all that keeps writers apart, and must do; the variable OSTRAKA_SABOTAGE names
// rules to break besides (base/sabotage.h), `unlocked` among them: no leases between nodes either.
#include <cstdlib>
#include <string_view>

#include "base/sabotage.h"
#include "cluster/local_lock_service.h"
#include "tests/sim/sabotage.h"

namespace ostraka::cluster {

LocalLockService::~LocalLockService() = default;

Task<Result<std::unique_ptr<control::Lease>>> LocalLockService::acquire(Ctx&, std::string) {
  struct Nothing final : control::Lease {};
  co_return std::make_unique<Nothing>();
}

std::size_t LocalLockService::held() const {
  return 0;
}

}  // namespace ostraka::cluster

namespace {

// Before any thread is started. A name that is no rule's must not pass for a store that is whole.
const bool chosen = [] {
  const char* rule = std::getenv("OSTRAKA_SABOTAGE");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (rule != nullptr && !ostraka::sim::choose_sabotage(std::string_view(rule))) std::abort();
  return true;
}();

}  // namespace
