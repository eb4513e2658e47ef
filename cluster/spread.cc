#include "cluster/spread.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

constexpr int kBisections = 100;  // more than a double has bits

std::vector<double> weights_of(const std::vector<PlacementDrive>& drives) {
  std::vector<std::uint64_t> known;
  for (const PlacementDrive& drive : drives)
    if (drive.bytes > 0) known.push_back(drive.bytes);
  double middle = 1;
  if (!known.empty()) {
    const auto at = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
    std::nth_element(known.begin(), at, known.end());
    middle = static_cast<double>(*at);
  }
  std::vector<double> weights;
  for (const PlacementDrive& drive : drives)
    weights.push_back(drive.bytes > 0 ? static_cast<double>(drive.bytes) / middle : 1.0);
  return weights;
}

// The largest factor at which amount(factor), which grows with it, is at most `wanted`.
template <class Amount>
double factor_for(double wanted, double low, double high, const Amount& amount) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (amount(middle) <= wanted ? low : high) = middle;
  }
  return low;
}

// Shares in proportion to the weights, none above 1, together `wanted`, which is at most their number.
void share_out(const std::vector<double>& weights, const std::vector<std::size_t>& members, double wanted,
               std::vector<double>& shares) {
  if (wanted >= static_cast<double>(members.size())) {
    for (const std::size_t i : members) shares[i] = 1;
    return;
  }
  double least = weights[members.front()];
  for (const std::size_t i : members) least = std::min(least, weights[i]);
  const auto amount = [&](double factor) {
    double sum = 0;
    for (const std::size_t i : members) sum += std::min(1.0, factor * weights[i]);
    return sum;
  };
  const double factor = factor_for(wanted, 0, 1 / least, amount);
  for (const std::size_t i : members) shares[i] = std::min(1.0, factor * weights[i]);
}

using Nodes = std::vector<std::vector<std::size_t>>;  // the drives of each

std::vector<double> shares_with(const std::vector<double>& weights, const Nodes& nodes, unsigned set_drives,
                                unsigned cap) {
  const auto of_node = [&](const std::vector<std::size_t>& members, double factor) {
    double sum = 0;
    for (const std::size_t i : members) sum += std::min(1.0, factor * weights[i]);
    return std::min<double>(cap, sum);
  };
  const auto amount = [&](double factor) {
    double sum = 0;
    for (const auto& members : nodes) sum += of_node(members, factor);
    return sum;
  };
  const double least = *std::min_element(weights.begin(), weights.end());
  const double factor = factor_for(set_drives, 0, 1 / least, amount);
  std::vector<double> shares(weights.size(), 0);
  for (const auto& members : nodes) share_out(weights, members, of_node(members, factor), shares);
  return shares;
}

// The largest part of its due that a drive gets too much or too little.
double deviation(const std::vector<double>& shares, const std::vector<double>& due) {
  double worst = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) worst = std::max(worst, std::abs(shares[i] / due[i] - 1));
  return worst;
}

unsigned least_cap(const Nodes& nodes, unsigned set_drives) {
  for (unsigned cap = 1;; ++cap) {
    std::size_t room = 0;
    for (const auto& members : nodes) room += std::min<std::size_t>(cap, members.size());
    if (room >= set_drives) return cap;
  }
}

}  // namespace

Spread spread_over(const std::vector<PlacementDrive>& drives, unsigned set_drives, unsigned parity) {
  CHECK(set_drives >= 1 && set_drives <= drives.size());
  Spread out;
  std::map<std::string, unsigned> numbers;
  Nodes nodes;
  for (std::size_t i = 0; i < drives.size(); ++i) {
    const auto number = numbers.emplace(drives[i].node, static_cast<unsigned>(nodes.size())).first->second;
    if (number == nodes.size()) nodes.emplace_back();
    nodes[number].push_back(i);
    out.node_of.push_back(number);
  }
  const std::vector<double> weights = weights_of(drives);
  const std::vector<double> due = shares_with(weights, nodes, set_drives, set_drives);
  out.node_cap = least_cap(nodes, set_drives);
  const unsigned most = std::max(parity, out.node_cap);
  const double nearest = deviation(shares_with(weights, nodes, set_drives, most), due);
  for (;; ++out.node_cap) {
    out.shares = shares_with(weights, nodes, set_drives, out.node_cap);
    if (out.node_cap == most || deviation(out.shares, due) <= std::max(nearest, kSpreadTolerance)) break;
  }
  out.node_shares.resize(nodes.size());
  for (std::size_t i = 0; i < drives.size(); ++i) out.node_shares[out.node_of[i]] += out.shares[i];
  return out;
}

}  // namespace ostraka::cluster
