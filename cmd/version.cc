#include "cmd/version.h"

namespace ostraka::cmd {

std::string_view version() noexcept {
  return OSTRAKA_VERSION;
}

}  // namespace ostraka::cmd
