// CHECK stays on in release, for what cannot happen. Input from outside is never checked with it: that gets
// an Error.
#pragma once

namespace ostraka {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::ostraka::check_failed(#condition, __FILE__, __LINE__))
