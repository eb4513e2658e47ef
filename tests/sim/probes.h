// Probes: how often something rare happened in a world. `required_probes` is what a run of many seeds must
// have met, or it has not shown what it is there to show.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ostraka::sim {

class Probes {
 public:
  void hit(const std::string& name, std::uint64_t times = 1) {
    if (times > 0) counts_[name] += times;
  }
  const std::map<std::string, std::uint64_t>& counts() const noexcept { return counts_; }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

std::string rule_probe(std::string_view rule);  // of base/sabotage.h: it made a difference

// By the names that stand in the table: every kind of fault, every rule of the commit protocol, and what the
// store has to do about them.
std::vector<std::string> required_probes();
// What a run of clusters must have met beyond that.
std::vector<std::string> required_cluster_probes();

}  // namespace ostraka::sim
