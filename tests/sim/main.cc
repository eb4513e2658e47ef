// sim_world: runs seeds, each a world of its own, and says what was found and which rare things happened.
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/log.h"
#include "tests/sim/sabotage.h"
#include "tests/sim/scenario.h"

namespace ostraka::sim {
namespace {

constexpr rlim_t kMostCpuSeconds = 120;  // a world that takes longer hangs

struct Options {
  std::uint64_t first = 1, last = 100;
  unsigned jobs = 2;
  std::vector<WorldShape> shapes;  // each seed has one of them
  bool trace = false, twice = false;
  bool until_caught = false;  // a broken rule: some seed must notice
  bool all_probes = false;    // all that are required must have been reached
  ScenarioSpec scenario;
};

struct Outcome {
  std::uint64_t hash = 0, operations = 0, failed = 0;
  std::map<std::string, std::uint64_t> probes;
  std::vector<std::string> violations;
};

const WorldShape& shape_of(const Options& options, std::uint64_t seed) {
  return options.shapes[seed % options.shapes.size()];
}

Outcome run_seed(const Options& options, std::uint64_t seed) {
  SimWorld world(seed, shape_of(options, seed), options.trace);
  Scenario scenario(world, options.scenario);
  world.run(scenario.run());
  Outcome out;
  out.hash = world.trace_hash();
  out.operations = scenario.operations();
  out.failed = scenario.failed();
  for (const std::string_view rule : all_sabotages()) world.probes.hit(rule_probe(rule), times_asked(rule));
  out.probes = world.probes.counts();
  out.violations = world.violations();
  return out;
}

// What a child says to its parent: lines of `kind text`.
std::string encode(const Outcome& outcome) {
  std::string out = fmt::format("hash {}\nops {} {}\n", outcome.hash, outcome.operations, outcome.failed);
  for (const auto& [name, count] : outcome.probes) out += fmt::format("probe {} {}\n", count, name);
  for (std::string text : outcome.violations) {
    std::replace(text.begin(), text.end(), '\n', '\t');
    out += "violation " + text + "\n";
  }
  return out + "end\n";
}

// False: it broke off.
bool decode(const std::string& text, Outcome& outcome) {
  std::istringstream in(text);
  bool whole = false;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "hash") words >> outcome.hash;
    if (kind == "ops") words >> outcome.operations >> outcome.failed;
    if (kind == "probe") {
      std::uint64_t count = 0;
      std::string name;
      words >> count;
      std::getline(words >> std::ws, name);
      outcome.probes[name] += count;
    }
    if (kind == "violation") outcome.violations.push_back(line.substr(10));
    if (kind == "end") whole = true;
  }
  return whole;
}

struct Child {
  pid_t pid = 0;
  int pipe = -1;
  std::uint64_t seed = 0;
  int log = -1;  // what it told its standard error
  std::string said;
};

Child begin(const Options& options, std::uint64_t seed) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  const int told = ::memfd_create("log", 0);
  Child child{::fork(), ends[0], seed, told, {}};
  if (child.pid == 0) {
    ::close(ends[0]);
    if (!options.trace) ::dup2(told, STDERR_FILENO);
    const rlimit most{kMostCpuSeconds, kMostCpuSeconds};  // of the CPU: other work on it is no fault
    if (!options.trace) ::setrlimit(RLIMIT_CPU, &most);
    const std::string text = encode(run_seed(options, seed));
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t wrote = ::write(ends[1], text.data() + at, text.size() - at);
      if (wrote <= 0) break;
      at += static_cast<std::size_t>(wrote);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  return child;
}

std::string last_words(int log) {
  constexpr off_t kMost = 600;
  const off_t end = ::lseek(log, 0, SEEK_END);
  std::string text(static_cast<std::size_t>(std::min(end, kMost)), '\0');
  const ssize_t got = ::pread(log, text.data(), text.size(), end - static_cast<off_t>(text.size()));
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

class Runner {
 public:
  explicit Runner(const Options& options) : options_(options) {}
  int run() {
    const auto begun = std::chrono::steady_clock::now();
    std::uint64_t next = options_.first;
    const auto enough = [&] { return next > options_.last || (options_.until_caught && bad_ > 0); };
    while (!enough() || !children_.empty()) {
      while (!enough() && children_.size() < options_.jobs) children_.push_back(begin(options_, next++));
      wait();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf("\n%-60s %12s\n", "probe", "times");
    for (const auto& [name, count] : total_.probes)
      std::printf("%-60s %12llu\n", name.c_str(), static_cast<unsigned long long>(count));
    std::printf("\n%llu seeds, %llu operations, %llu without a good answer, %u bad seeds, %.1f s\n",
                static_cast<unsigned long long>(options_.last - options_.first + 1),
                static_cast<unsigned long long>(total_.operations),
                static_cast<unsigned long long>(total_.failed), bad_, took.count());
    const bool reached = !options_.all_probes || all_reached();
    return (bad_ > 0) == options_.until_caught && reached ? 0 : 1;
  }

 private:
  bool all_reached() const {
    bool all = true;
    const bool clusters = options_.shapes.front().nodes > 1;
    for (const std::string& name : clusters ? required_cluster_probes() : required_probes()) {
      if (total_.probes.contains(name)) continue;
      std::printf("NEVER REACHED: %s\n", name.c_str());
      all = false;
    }
    return all;
  }
  void wait() {
    std::vector<pollfd> fds;
    for (const Child& child : children_) fds.push_back({child.pipe, POLLIN, 0});
    if (::poll(fds.data(), fds.size(), -1) < 0) return;
    for (std::size_t i = fds.size(); i-- > 0;) {
      if (fds[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(fds[i].fd, buffer, sizeof buffer);
      if (got > 0) {
        children_[i].said.append(buffer, static_cast<std::size_t>(got));
        continue;
      }
      Child child = std::move(children_[i]);
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
      ::close(child.pipe);
      int status = 0;
      ::waitpid(child.pid, &status, 0);
      ended(child, status);
    }
  }
  void ended(const Child& child, int status) {
    Outcome outcome;
    if (!decode(child.said, outcome)) {
      outcome.violations.push_back(
          fmt::format("the world broke off, wait status {:#x}: ... {}", status, last_words(child.log)));
    }
    ::close(child.log);
    if (options_.twice) {
      const auto known = hashes_.find(child.seed);
      if (known == hashes_.end()) {
        hashes_[child.seed] = outcome.hash;
        children_.push_back(begin(options_, child.seed));
      } else if (known->second != outcome.hash) {
        outcome.violations.push_back("the same seed ended differently the second time");
      }
    }
    total_.operations += outcome.operations;
    total_.failed += outcome.failed;
    for (const auto& [name, count] : outcome.probes) total_.probes[name] += count;
    if (outcome.violations.empty()) return;
    ++bad_;
    const WorldShape& shape = shape_of(options_, child.seed);
    std::printf("SEED %llu (%u+%u, nodes: %zu):\n", static_cast<unsigned long long>(child.seed),
                shape.geometry.data_shards, shape.geometry.parity_shards, shape.nodes);
    for (std::string text : outcome.violations) {
      std::replace(text.begin(), text.end(), '\t', '\n');
      std::printf("  %s\n", text.c_str());
    }
    std::fflush(stdout);
  }

  const Options& options_;
  std::vector<Child> children_;
  std::map<std::uint64_t, std::uint64_t> hashes_;
  Outcome total_;
  unsigned bad_ = 0;
};

bool parse_seeds(const std::string& text, Options& options) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  options.first = std::strtoull(text.c_str(), nullptr, 10);
  options.last = std::strtoull(text.c_str() + dots + 2, nullptr, 10);
  return options.first <= options.last;
}

WorldShape shape(unsigned data, unsigned parity, std::size_t nodes = 1, std::size_t drives = 0) {
  return {*erasure::make_geometry(data, parity), nodes, drives, nodes > 1 ? 1U : 0U};
}

bool choose_shapes(const std::string& cluster, const std::string& geometry, Options& options) {
  if (cluster == "any") {
    options.shapes = {shape(2, 1, 3, 1), shape(2, 2, 4, 1), shape(4, 2, 3, 2), shape(6, 2, 4, 2)};
    return geometry.empty();
  }
  if (geometry.empty() && cluster.empty()) {
    options.shapes = {shape(2, 1), shape(4, 2), shape(1, 1), shape(2, 2)};
    return true;
  }
  const auto plus = geometry.find('+'), by = cluster.find('x');
  if (plus == std::string::npos || (!cluster.empty() && by == std::string::npos)) return false;
  const auto made = erasure::make_geometry(static_cast<unsigned>(std::stoul(geometry)),
                                           static_cast<unsigned>(std::stoul(geometry.substr(plus + 1))));
  if (!made) return false;
  options.shapes = {WorldShape{*made}};
  if (cluster.empty()) return true;
  options.shapes[0].nodes = std::stoul(cluster);
  options.shapes[0].drives = std::stoul(cluster.substr(by + 1));
  options.shapes[0].spares = 1;
  return true;
}

int run_main(int argc, char** argv) {
  CLI::App app("Worlds from seeds");
  Options options;
  std::string seeds = "1..100", geometry;
  std::uint64_t seed = 0;
  bool no_drive_faults = false, no_deaths = false, no_net_faults = false, no_growth = false,
       unnoticed = false, with_log = false;
  std::string cluster;
  app.add_option("--seeds", seeds, "A..B, both included");
  app.add_option("--seed", seed, "only this one, in this process");
  app.add_option("--jobs", options.jobs, "processes at once");
  app.add_option("--geometry", geometry, "k+m; otherwise each seed has one of several");
  app.add_option("--operations", options.scenario.operations, "of each client");
  app.add_option("--clients", options.scenario.clients, "clients");
  std::string sabotage;
  app.add_option("--sabotage", sabotage,
                 "break this rule, or several joined by commas, and succeed as soon as a seed notices");
  app.add_flag("--unnoticed", unnoticed, "with --sabotage: no seed may notice");
  app.add_flag("--trace", options.trace, "say what happens");
  app.add_flag("--all-probes", options.all_probes, "fail when a fault or a rule was never reached");
  app.add_flag("--twice", options.twice, "each seed two times: both must end alike");
  app.add_flag("--no-drive-faults", no_drive_faults, "drives are well");
  app.add_flag("--no-deaths", no_deaths, "the process lives");
  app.add_option(
      "--cluster", cluster,
      "NODESxDRIVES, with --geometry: several nodes with so many drives each; any: each seed one of several");
  app.add_flag("--no-net-faults", no_net_faults, "links, etcd and clocks are well");
  app.add_flag("--no-growth", no_growth, "no node is added or drained");
  app.add_flag("--log", with_log, "more of the server's own log");
  CLI11_PARSE(app, argc, argv);
  if (!sabotage.empty() && !choose_sabotage(sabotage)) return 2;
  options.until_caught = !sabotage.empty() && !unnoticed;
  log::set_level(with_log ? log::Level::info : log::Level::error);
  options.scenario.drive_faults = !no_drive_faults;
  options.scenario.deaths = !no_deaths;
  options.scenario.net_faults = !no_net_faults;
  if (!choose_shapes(cluster, geometry, options)) return 2;
  for (WorldShape& one : options.shapes)
    if (no_growth) one.spares = 0;
  if (seed != 0) {
    const Outcome outcome = run_seed(options, seed);
    for (const std::string& text : outcome.violations) std::printf("VIOLATION %s\n", text.c_str());
    std::printf("seed %llu: %016llx, %llu operations, %llu without a good answer\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(outcome.hash),
                static_cast<unsigned long long>(outcome.operations),
                static_cast<unsigned long long>(outcome.failed));
    return outcome.violations.empty() ? 0 : 1;
  }
  if (!parse_seeds(seeds, options)) return 2;
  return Runner(options).run();
}

}  // namespace
}  // namespace ostraka::sim

int main(int argc, char** argv) {
  return ostraka::sim::run_main(argc, argv);
}
