// The log front end: structured lines on stderr, `level message key=value ...`, over spdlog. Never pass
// secrets.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace ostraka::log {

enum class Level : int { debug, info, warn, error };
void set_level(Level level) noexcept;
bool enabled(Level level) noexcept;
void write(Level level, std::string_view line);

template <class... A>
void debug(fmt::format_string<A...> f, A&&... a) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void info(fmt::format_string<A...> f, A&&... a) {
  if (enabled(Level::info)) write(Level::info, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warn(fmt::format_string<A...> f, A&&... a) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void error(fmt::format_string<A...> f, A&&... a) {
  if (enabled(Level::error)) write(Level::error, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace ostraka::log
