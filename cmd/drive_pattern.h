// DRIVE arguments: folders, with numeric ranges such as /mnt/d{1...12}, several in one pattern if need be.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ostraka::cmd {

inline constexpr std::size_t kMaxDrives = 1024;

// Expands `{A...B}` in each pattern, the rightmost range fastest: "n{1...2}/d{01...03}" is n1/d01, n1/d02,
// n1/d03, n2/d01, ... A bound with leading zeros pads to its width. Errors: invalid_argument, naming the
// pattern: a malformed or descending range, a URL (one node only), the same folder twice, none or more than
// kMaxDrives.
Result<std::vector<std::string>> expand_drives(const std::vector<std::string>& patterns);

}  // namespace ostraka::cmd
