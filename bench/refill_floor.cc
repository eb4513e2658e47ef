// The floor under a refill: for each object of a mix of sizes, reads the k shards that are needed, checks and
// decodes them, and writes the shard of one drive, done by a bare program with one thread a core. Small
// objects lie in RocksDB indexes, as the server keeps them, and are written in synced batches of 16; the
// others in files, which are synced.
//
// usage: refill_floor DIR OBJECTS      prints: seconds MiB/s objects/s CPU-microseconds/object
// (MiB of object data, as clients see it.) The sizes are those of bench/heal.py. RocksDB computes its CRC32C
// here as it does in the server (disk/rocks_crc.cc).
#include <fcntl.h>
#include <isa-l/erasure_code.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/limits.h"
#include "disk/drive.h"

namespace {

constexpr unsigned kData = 4, kParity = 2, kDrives = kData + kParity;
constexpr unsigned kLost = 0;  // a data shard, so that there is something to decode
constexpr std::size_t kRowBytes = 320, kBatch = 16;

[[noreturn]] void die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

std::size_t size_of(std::size_t object) {
  const std::size_t place = object % 100;
  return place < 60 ? 8U << 10 : place < 90 ? 96U << 10 : place < 99 ? 512U << 10 : 2560U << 10;
}

std::string name_of(std::size_t object) {
  char name[32];
  std::snprintf(name, sizeof name, "bucket-idk/%08zu", object);
  return name;
}

using Index = std::unique_ptr<rocksdb::DB>;

Index open_index(const std::string& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  if (!rocksdb::DB::Open(options, path, &db).ok()) die(path);
  return Index(db);
}

// The rows of one decoding matrix: the lost shard from the first k others.
std::vector<std::uint8_t> decode_tables() {
  std::vector<std::uint8_t> matrix(std::size_t{kDrives} * kData), left, inverse(std::size_t{kData} * kData);
  gf_gen_cauchy1_matrix(matrix.data(), kDrives, kData);
  for (unsigned row = 1; row <= kData; ++row)
    left.insert(left.end(), matrix.begin() + row * kData, matrix.begin() + (row + 1) * kData);
  if (gf_invert_matrix(left.data(), inverse.data(), kData) != 0) die("not invertible");
  std::vector<std::uint8_t> tables(std::size_t{32} * kData);
  ec_init_tables(kData, 1, inverse.data() + std::size_t{kLost} * kData, tables.data());
  return tables;
}

struct Store {
  explicit Store(const std::string& folder) : dir(folder) {
    for (unsigned d = 0; d < kData; ++d) {
      mkdir((dir + "/s" + std::to_string(d)).c_str(), 0755);
      sources.push_back(open_index(dir + "/i" + std::to_string(d)));
    }
    mkdir((dir + "/t").c_str(), 0755);
    target = open_index(dir + "/it");
  }
  std::string source_path(unsigned drive, std::size_t object) const {
    return dir + "/s" + std::to_string(drive) + "/" + std::to_string(object);
  }
  // A row, and the shard when it is small. Whoever fills a batch writes it, as group commit does.
  void put(std::size_t object, std::string shard) {
    const std::lock_guard lock(mutex);
    batch.Put(name_of(object), std::string(kRowBytes, 'r'));
    if (!shard.empty()) batch.Put(name_of(object) + "!", shard);
    if (++waiting == kBatch) flush();
  }
  void flush() {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (!target->Write(synced, &batch).ok()) die("write");
    batch.Clear();
    waiting = 0;
  }

  const std::string dir;
  std::vector<Index> sources;
  Index target;
  std::mutex mutex;
  rocksdb::WriteBatch batch;
  std::size_t waiting = 0;
  const std::vector<std::uint8_t> tables = decode_tables();
};

double cpu_seconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) die("getrusage");
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void prepare(Store& store, std::size_t objects) {
  std::string block(ostraka::kStripeBytes, '\0');
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 2654435761U >> 13);
  for (std::size_t i = 0; i < objects; ++i) {
    const std::size_t size = size_of(i);
    for (unsigned d = 0; d < kData; ++d) {
      store.sources[d]->Put({}, name_of(i), std::string(kRowBytes, 'r'));
      if (size <= ostraka::kMaxInlineBytes) {
        const std::size_t bytes = ostraka::disk::shard_block_bytes(size, kData);
        store.sources[d]->Put({}, name_of(i) + "!", block.substr(0, bytes));
        continue;
      }
      const int file = open(store.source_path(d, i).c_str(), O_CREAT | O_WRONLY, 0644);
      for (std::size_t done = 0; done < size; done += ostraka::kStripeBytes) {
        const std::size_t stripe = std::min(size - done, ostraka::kStripeBytes);
        const std::size_t bytes = ostraka::disk::shard_block_bytes(stripe, kData);
        if (write(file, block.data(), bytes) != static_cast<ssize_t>(bytes)) die("write");
      }
      close(file);
    }
  }
}

// What every thread has of its own.
struct Scratch {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>((kData + 1) * ostraka::kStripeBytes);
  std::uint8_t* shards[kData]{};
  std::uint8_t* lost[1]{};
  std::uint64_t sum = 0;
  Scratch() {
    for (unsigned d = 0; d < kData; ++d) shards[d] = bytes.data() + d * ostraka::kStripeBytes;
    lost[0] = bytes.data() + kData * ostraka::kStripeBytes;
  }
  void decode(const Store& store, std::size_t block) {
    for (const std::uint8_t* shard : shards) sum += ostraka::xxh3_128({shard, block}).low;
    auto* tables = const_cast<std::uint8_t*>(store.tables.data());  // ISA-L does not write to them
    ec_encode_data(static_cast<int>(block), kData, 1, tables, shards, lost);
    sum += ostraka::xxh3_128({lost[0], block}).low;
  }
};

void refill_small(Store& store, Scratch& scratch, std::size_t object) {
  std::string row, shard;
  for (unsigned d = 0; d < kData; ++d) {
    if (!store.sources[d]->Get({}, name_of(object), &row).ok()) die("get");
    if (!store.sources[d]->Get({}, name_of(object) + "!", &shard).ok()) die("get");
    std::copy(shard.begin(), shard.end(), scratch.shards[d]);
  }
  scratch.decode(store, shard.size());
  store.put(object, std::string(reinterpret_cast<const char*>(scratch.lost[0]), shard.size()));
}

void refill_large(Store& store, Scratch& scratch, std::size_t object) {
  const std::size_t size = size_of(object);
  std::string row;
  int files[kData];
  for (unsigned d = 0; d < kData; ++d) {
    if (!store.sources[d]->Get({}, name_of(object), &row).ok()) die("get");
    files[d] = open(store.source_path(d, object).c_str(), O_RDONLY);
  }
  const int out = open((store.dir + "/t/" + std::to_string(object)).c_str(), O_CREAT | O_WRONLY, 0644);
  off_t at = 0;
  for (std::size_t done = 0; done < size; done += ostraka::kStripeBytes) {
    const std::size_t block =
        ostraka::disk::shard_block_bytes(std::min(size - done, ostraka::kStripeBytes), kData);
    for (unsigned d = 0; d < kData; ++d)
      if (pread(files[d], scratch.shards[d], block, at) != static_cast<ssize_t>(block)) die("pread");
    scratch.decode(store, block);
    if (write(out, scratch.lost[0], block) != static_cast<ssize_t>(block)) die("write");
    at += static_cast<off_t>(block);
  }
  if (fdatasync(out) != 0) die("fdatasync");
  close(out);
  for (const int file : files) close(file);
  store.put(object, {});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: refill_floor DIR OBJECTS\n");
    return 2;
  }
  const std::size_t objects = std::strtoull(argv[2], nullptr, 10);
  Store store(argv[1]);
  prepare(store, objects);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < objects; ++i) bytes += size_of(i);
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> sum{0};
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1U, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      Scratch scratch;
      for (std::size_t i = next++; i < objects; i = next++) {
        if (size_of(i) <= ostraka::kMaxInlineBytes)
          refill_small(store, scratch, i);
        else
          refill_large(store, scratch, i);
      }
      sum += scratch.sum;
    });
  }
  for (std::thread& thread : threads) thread.join();
  store.flush();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (sum == 1) return 1;  // keeps the sums alive
  std::printf("%.3f %.1f %.0f %.0f\n", seconds, static_cast<double>(bytes) / 1048576 / seconds,
              static_cast<double>(objects) / seconds,
              (cpu_seconds() - cpu) * 1e6 / static_cast<double>(objects));
  return 0;
}
