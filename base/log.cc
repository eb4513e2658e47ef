#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

namespace ostraka::log {

namespace {

spdlog::level::level_enum to_spdlog(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger make_logger() {
  spdlog::logger made("ostraka", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  made.set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                                                                 spdlog::pattern_time_type::utc));
  made.set_level(spdlog::level::info);
  made.flush_on(spdlog::level::warn);
  return made;
}

// The one process-wide object of base/: stderr is process-wide too.
spdlog::logger& logger() {
  static spdlog::logger instance = make_logger();
  return instance;
}

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

void set_level(Level level) noexcept {
  logger().set_level(to_spdlog(level));
}

bool enabled(Level level) noexcept {
  return logger().should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) {
  if (std::none_of(line.begin(), line.end(), is_control)) {
    logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
    return;
  }
  // Names and headers of clients end up in lines: they must not be able to forge a line or steer a terminal.
  std::string safe;
  safe.reserve(line.size() + 16);
  for (const char c : line) {
    if (is_control(c)) {
      fmt::format_to(std::back_inserter(safe), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      safe.push_back(c);
    }
  }
  logger().log(to_spdlog(level), spdlog::string_view_t(safe.data(), safe.size()));
}

}  // namespace ostraka::log
