// sim_rocks: the real RocksDB, as drives use it (disk/rocks_index.h), under power cuts and kills in this
// process, hundreds of them in seconds. After each, every batch must be there whole or not at all: after a
// power cut all up to the last whose sync was answered, after a kill all that were answered. RocksDB's
// threads are the machine's, so a seed repeats the load and the cuts, but not their interleaving.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/log.h"
#include "disk/rocks_index.h"
#include "tests/sim/rocks/power_disk.h"

namespace ostraka::sim {
namespace {

using disk::Column;

constexpr std::uint64_t kKeys = 80;

struct Change {
  Column column;
  std::string key;
  std::optional<std::string> value;  // nullopt: erased
};

struct Batch {
  std::uint64_t number = 0;
  std::vector<Change> changes;
};

using Rows = std::map<std::string, std::string>;  // of one column
using Content = std::array<Rows, disk::kColumns>;

void replay(const Batch& batch, Content& content) {
  for (const Change& change : batch.changes) {
    auto& column = content[static_cast<std::size_t>(change.column)];
    if (change.value) {
      column[change.key] = *change.value;
    } else {
      column.erase(change.key);
    }
  }
}

class Cuts {
 public:
  explicit Cuts(std::uint64_t seed) : random_(seed), disk_(seed + 1) {}

  bool run(std::uint64_t rounds) {
    if (!open(disk::IndexMode::create)) return wrong("an index could not be made: " + problem_);
    disk_.sync_root();  // as whoever formats a drive does
    for (round_ = 1; round_ <= rounds; ++round_) {
      if (!live() || !come_back()) return false;
    }
    return true;
  }
  void report() const {
    std::printf(
        "%llu power cuts (%llu more while it opened), %llu kills, %llu orderly ends; %llu batches, %llu of "
        "them "
        "lost unsynced, %llu gaps; %llu bytes and %llu names lost\n",
        count(cuts_), count(cuts_at_open_), count(kills_), count(ends_), count(attempted_), count(lost_),
        count(gaps_), count(disk_.lost_bytes()), count(disk_.lost_names()));
  }
  // Otherwise nothing was tried.
  bool hostile() const {
    return cuts_ > 0 && cuts_at_open_ > 0 && kills_ > 0 && ends_ > 0 && lost_ > 0 && disk_.lost_bytes() > 0 &&
           disk_.lost_names() > 0;
  }

 private:
  static unsigned long long count(std::uint64_t n) { return n; }
  bool wrong(const std::string& what) const {
    std::printf("round %llu: %s\n", count(round_), what.c_str());
    return false;
  }
  bool open(disk::IndexMode mode) {
    fs_ = PowerDisk::fs(disk_);
    env_ = PowerDisk::env(disk_);
    factory_.emplace(budget_, *fs_, *env_);
    auto opened = factory_->open(kIndexFolder, mode);
    if (!opened) {
      problem_ = opened.error().detail;
      return false;
    }
    index_ = std::move(*opened);
    return true;
  }
  void close() {
    index_.reset();
    factory_.reset();
    env_.reset();
    fs_.reset();
  }

  Batch some_batch() {
    Batch batch;
    batch.number = ++attempted_;
    for (std::uint64_t i = random_.between(1, 4); i > 0; --i) {
      const std::string key = fmt::format("k{:03}", random_.below(kKeys));
      if (random_.chance(0.25)) {
        batch.changes.push_back({Column::rows, key, std::nullopt});
        batch.changes.push_back({Column::inline_data, key, std::nullopt});
        continue;
      }
      batch.changes.push_back({Column::rows, key, some_value(batch.number, 300)});
      batch.changes.push_back({Column::inline_data, key, some_value(batch.number, 12'000)});
    }
    batch.changes.push_back({Column::system, "last", std::to_string(batch.number)});
    return batch;
  }
  std::string some_value(std::uint64_t number, std::uint64_t most) {
    std::string value = fmt::format("{}:", number);
    const std::size_t head = value.size();
    value.resize(head + random_.below(most));
    random_.fill(MutableByteSpan(reinterpret_cast<std::uint8_t*>(value.data()) + head, value.size() - head));
    return value;
  }
  Result<> write(const Batch& batch, disk::Sync sync) {
    const auto out = index_->make_batch();
    for (const Change& change : batch.changes) {
      if (!change.value) {
        out->erase(change.column, change.key);
        continue;
      }
      const std::string_view part = *change.value;
      out->put(change.column, change.key, std::span<const std::string_view>(&part, 1));
    }
    return index_->write(*out, sync);
  }

  // Writes until the process is at its end.
  bool live() {
    disk_.cut_power_at(random_.between(1, random_.chance(0.1) ? 1500 : 100));
    const std::uint64_t end = random_.below(10);  // 0: in order, 1: killed, otherwise the power goes
    const std::uint64_t most = random_.between(1, 60);
    for (std::uint64_t i = 0; i < most || end > 1; ++i) {
      Batch batch = some_batch();
      const disk::Sync sync = random_.chance(0.5) ? disk::Sync::yes : disk::Sync::no;
      const Result<> written = write(batch, sync);
      written_.push_back(std::move(batch));
      if (disk_.ended()) break;
      if (!written) return wrong("a write failed: " + written.error().detail);
      answered_ = attempted_;
      if (sync == disk::Sync::yes) synced_ = attempted_;
    }
    if (disk_.ended()) {
      ++cuts_;
    } else if (end == 0) {
      index_->prepare_close();
      if (!disk_.ended()) synced_ = answered_;  // flushed
      close();
      ++(disk_.ended() ? cuts_ : ends_);
      disk_.cut_power();
    } else {
      disk_.kill();
      killed_ = true;
      ++kills_;
    }
    close();
    return true;
  }

  // It opens, now or after more power cuts, and holds what it must.
  bool come_back() {
    for (;;) {
      disk_.begin();
      const bool hard = random_.chance(0.2);
      if (hard) disk_.cut_power_at(random_.between(1, 12));
      const bool opened = open(disk::IndexMode::existing);
      if (opened && !disk_.ended()) return check();
      close();
      if (!disk_.ended()) return wrong("it does not open again: " + problem_);
      killed_ = false;
      ++cuts_at_open_;
    }
  }
  bool check() {
    const std::optional<Content> all = read_all();
    if (!all) return false;
    const Content& content = *all;
    const bool killed = std::exchange(killed_, false);
    if (disk_.ended()) return true;  // right after it opened: the next life looks
    const std::uint64_t must = killed ? answered_ : synced_;
    const auto last = content[static_cast<std::size_t>(Column::system)].find("last");
    const std::uint64_t number =
        last == content[static_cast<std::size_t>(Column::system)].end() ? 0 : std::stoull(last->second);
    if (number < must)
      return wrong(fmt::format("batch {} was answered and is lost: {} is the last", must, number));
    if (number > attempted_) return wrong("a batch that nobody wrote");
    lost_ += attempted_ - number;
    if (!explain(content, must, number)) {
      const Content whole = replayed(number, number + 1, number + 1);
      for (std::size_t column = 0; column < disk::kColumns; ++column)
        if (content[column] != whole[column])
          return wrong(fmt::format("column {} is not as after batch {}: {}", column, number,
                                   differences(content[column], whole[column])));
    }
    expected_ = content;
    written_.clear();
    answered_ = synced_ = number;
    return true;
  }
  // After all batches up to `last`, but for those from `gap` to before `behind`.
  Content replayed(std::uint64_t last, std::uint64_t gap, std::uint64_t behind) const {
    Content content = expected_;
    for (const Batch& batch : written_)
      if (batch.number <= last && (batch.number < gap || batch.number >= behind)) replay(batch, content);
    return content;
  }
  // All batches are there up to the last. Or a log that was not synced has lost its end, and the one after it
  // has not: RocksDB does not notice when the end is that of a batch. What was synced, and all before it, is
  // safe.
  bool explain(const Content& content, std::uint64_t must, std::uint64_t last) {
    if (content == replayed(last, last + 1, last + 1)) return true;
    for (std::uint64_t gap = must + 1; gap < last; ++gap) {
      for (std::uint64_t behind = gap + 1; behind <= last; ++behind) {
        if (content != replayed(last, gap, behind)) continue;
        ++gaps_;
        return true;
      }
    }
    return false;
  }
  // Values begin with the number of their batch.
  static std::string differences(const Rows& is, const Rows& should) {
    const auto said = [](const Rows& column, const std::string& key) {
      const auto found = column.find(key);
      return found == column.end() ? "nothing" : "batch " + found->second.substr(0, found->second.find(':'));
    };
    std::string out;
    Rows all = is;
    all.insert(should.begin(), should.end());
    for (const auto& [key, value] : all)
      if (said(is, key) != said(should, key))
        out += fmt::format(" {} holds {}, not {};", key, said(is, key), said(should, key));
    return out;
  }
  std::optional<Content> read_all() {
    Content content;
    for (std::size_t column = 0; column < disk::kColumns; ++column) {
      const auto cursor = index_->scan(static_cast<Column>(column), "", "");
      for (cursor->seek(""); cursor->valid(); cursor->next())
        content[column].emplace(cursor->key(), cursor->value());
      const Result<> status = cursor->status();
      if (!status && !disk_.ended()) {
        wrong("a scan failed: " + status.error().detail);
        return std::nullopt;
      }
    }
    return content;
  }

  SimRandom random_;
  PowerDisk disk_;
  disk::IndexBudget budget_{{.memory_bytes = 8U << 20, .memtable_bytes = 1U << 20, .drives = 1}};
  std::unique_ptr<Fs> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  std::optional<disk::RocksIndexFactory> factory_;
  std::unique_ptr<disk::MetaIndex> index_;
  Content expected_;           // after all batches that were found at the last look
  std::deque<Batch> written_;  // since then
  std::uint64_t attempted_ = 0, answered_ = 0, synced_ = 0;  // numbers of batches
  bool killed_ = false;  // the last process was, and the power has stayed on since
  std::uint64_t round_ = 0, gaps_ = 0, cuts_ = 0, cuts_at_open_ = 0, kills_ = 0, ends_ = 0, lost_ = 0;
  std::string problem_;
};

int run_main(int argc, char** argv) {
  CLI::App app("The real RocksDB under power cuts");
  std::uint64_t seed = 1, rounds = 300;
  app.add_option("--seed", seed, "of the load and the cuts");
  app.add_option("--rounds", rounds, "lives, each with an end");
  CLI11_PARSE(app, argc, argv);
  log::set_level(log::Level::error);
  const auto begun = std::chrono::steady_clock::now();
  Cuts cuts(seed);
  const bool well = cuts.run(rounds);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  cuts.report();
  std::printf("seed %llu, %.1f s: %s\n", static_cast<unsigned long long>(seed), took.count(),
              well ? "nothing lost" : "NOT WELL");
  if (well && !cuts.hostile()) std::printf("not everything was tried\n");
  return well && cuts.hostile() ? 0 : 1;
}

}  // namespace
}  // namespace ostraka::sim

int main(int argc, char** argv) {
  return ostraka::sim::run_main(argc, argv);
}
