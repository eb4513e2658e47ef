// DRIVE arguments: folders, or drives of nodes, with numeric ranges such as /mnt/d{1...12} or
// http://node{1...4}:9000/data/d{1...2}, several in one pattern if need be.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/topology.h"

namespace ostraka::cmd {

// Expands `{A...B}` in each pattern, the rightmost range fastest: "n{1...2}/d{01...03}" is n1/d01, n1/d02,
// n1/d03, n2/d01, ... A bound with leading zeros pads to its width. Errors: invalid_argument, naming the
// pattern: a malformed or descending range, the same folder twice, none or more than kMaxDrives.
Result<std::vector<std::string>> expand_drives(const std::vector<std::string>& patterns);

// The same as drives of nodes; empty: they are folders of this machine. Errors: invalid_argument, naming the
// drive: not a URL of a drive, folders and URLs mixed, two ports for one node, the same drive twice.
Result<std::vector<cluster::DriveUrl>> drives_of_nodes(const std::vector<std::string>& drives);

}  // namespace ostraka::cmd
