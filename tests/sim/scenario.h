// What happens in a world: clients at work while drives and processes fail within what parity allows, then
// peace in which everything must be well again, then more damage than anybody can bear.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/model.h"
#include "tests/sim/sim_world.h"

namespace ostraka::sim {

inline constexpr char kBucket[] = "/plain";

struct ScenarioSpec {
  unsigned clients = 4;
  unsigned operations = 32;  // of each client, in each round
  unsigned keys = 8;
  bool drive_faults = true;
  bool deaths = true;      // of the process, power cuts, restarts
  bool net_faults = true;  // of a cluster: links, etcd, pauses, clocks
  unsigned rounds = 2;     // of faults and peace; each may strike other drives
  bool beyond_parity = true;
};

enum class Listed : std::uint8_t { all, top, folder };

// What a listing said, all its pages together.
struct Listing {
  Listed what = Listed::all;
  std::map<std::string, std::string> etags;  // by "/bucket/key"
  std::set<std::string> folders;             // common prefixes
};

// A bucket that nobody makes again, and what its clients were told.
struct BucketLife {
  enum class Key : std::uint8_t { there, gone, unknown };
  std::string name;  // "/bucket"
  bool made = false, deletion_begun = false, deleted = false, in_doubt = false;
  std::map<std::string, Key> keys;   // by "/bucket/key"
  unsigned busy = 0;                 // clients
  TimePoint begun{};                 // to be made
  std::set<std::size_t> known_by{};  // nodes that have answered for it
};

// Who suffers in a round of a cluster. What a write missed while a node was away or slow counts as lacking,
// so that beside it no other node's drive may lose anything.
enum class Trouble : std::uint8_t {
  nodes,     // all of them, and the network; drives keep what they have
  one_node,  // it, and its drives; only where parity bears that
  drives     // any, as in a world of one node; nodes and the network are well
};

class Scenario {
 public:
  Scenario(SimWorld& world, ScenarioSpec spec);
  Task<> run();
  std::uint64_t operations() const noexcept { return done_; }
  std::uint64_t failed() const noexcept { return failed_; }

 private:
  // --- clients.cc
  Task<> client(unsigned operations);
  Task<> one_operation();
  Task<> put(std::string key, HistoryOp::Kind kind);
  Task<> get(std::string key, bool head);
  Task<> get_range(std::string key);
  Task<> erase(std::string key, HistoryOp::Kind kind);
  Task<> copy(std::string from, std::string to);
  Task<> erase_many(std::vector<std::string> keys);
  Task<S3Reply> ask(std::string who, S3Request request);
  void settle_write(HistoryOp* op, const S3Reply& reply, std::string_view what);
  void settle_read(HistoryOp* op, const S3Reply& reply, bool head, const std::string& key);
  // What a copy says it has read; gives the value, "" when nobody wrote such.
  std::string settle_source(HistoryOp* read, const std::string& from, const std::string& etag);
  std::string last_written(const std::string& key);  // "": nobody was told that anything was
  std::string some_key();
  std::string body_name();
  Register& reg(const std::string& key) { return model_.registers[key]; }
  // --- client_uploads.cc
  Task<> upload(std::string key);
  Task<std::string> put_part(std::string key, std::string id, std::size_t number, std::string part);
  Task<std::string> copy_part(std::string key, std::string id, std::string from);
  Task<> look_at_upload(std::string key, std::string id, std::vector<std::string> etags);
  Task<> abort_upload(std::string key, std::string id);
  Task<> abort_open_uploads();
  Task<> complete(std::string key, std::string id, std::vector<std::string> parts,
                  std::vector<std::string> etags);
  // --- client_lists.cc
  Task<> list();
  Task<> list_versions();
  Task<> browse();
  Task<bool> read_pages(std::string query, std::string item, Listing* out);
  void settle_listing(const Listing& listing, std::uint64_t begin);
  // --- trouble.cc
  Task<> trouble_with_drives();
  Task<> trouble_with_processes();
  void harm(std::size_t slot);
  void swap_two();
  bool well(std::size_t slot) const { return well_again_[slot] <= world_.clock.now(); }
  void damage_at_rest(Device& device);
  void heal_hardware();
  Task<> start_again(bool must);
  Task<bool> try_to_start(bool must);
  void replace(std::size_t slot);  // as an operator does
  // --- scenario.cc
  Task<> make_bucket();
  Task<> traffic();
  void choose_weak_drives();
  Task<> round();
  Task<> calm();
  Task<> converge();
  Task<> heal_all();
  std::vector<std::string> in_doubt() const;  // keys that have an operation of unknown outcome
  Task<bool> all_online(Duration patience);
  Task<std::string> admin(std::string method, std::string path);  // the answer; "" when there was none
  Task<> read_without_some();
  Task<> use_without_those_gone(const std::vector<std::string>& keys);
  Task<> wait_for_purges();
  Task<> look_at(std::string key, bool must);
  Task<> write_to(std::string key);
  Task<> go_beyond();
  // --- cluster_scenario.cc
  Task<> run_cluster();
  Task<> start_one(std::size_t node, bool must);
  Task<> start_all();
  Task<> stop_one(std::size_t node);
  Task<> stop_all();
  Task<> calm_cluster();
  Task<> read_everywhere(std::vector<std::string> keys);
  Task<> list_everywhere();
  Task<> read_without_a_node();
  Task<> go_beyond_in_cluster();
  std::size_t some_node();  // for a client to ask
  // --- cluster_races.cc
  Task<> race(std::string key);
  Task<> rival(std::string key, HistoryOp::Kind kind);
  // --- cluster_growth.cc
  bool has_spare() const;  // there is a machine that was no node at first
  Task<> grow_and_shrink();
  Task<> add_spare();
  Task<> drain(std::size_t node, bool cancel);
  Task<> watch_moves();
  Task<> settle_growth();
  Task<> finish_growth();
  Task<S3Reply> order(std::string path, std::string body);
  // --- cluster_trouble.cc
  void set_clocks();
  void mend_cluster();
  void choose_cluster_trouble();
  unsigned begin_cluster_trouble();  // gives the number of tasks
  Task<> trouble_with_node(std::size_t i);
  Task<> trouble_with_network();
  Task<> trouble_with_etcd();
  Task<> wait_out(Duration length);
  std::vector<std::string> hosts() const;
  std::string harm_network();
  void note_deaf();
  void end_deafness();
  bool may_be_deaf(std::size_t node, TimePoint since) const;
  // --- cluster_buckets.cc
  Task<> bucket_client();
  Task<> write_to_bucket(std::shared_ptr<BucketLife> life, unsigned writer);
  Task<> delete_bucket(std::shared_ptr<BucketLife> life);
  Task<> delete_behind_a_node();
  Task<> look_at_buckets();
  void check_unknown(const BucketLife& life, const S3Reply& reply, TimePoint begin, const std::string& what);
  void check_bucket(const BucketLife& life, const S3Reply& listed, const std::string& node);

  SimWorld& world_;
  const ScenarioSpec spec_;
  Model model_;
  std::vector<std::size_t> weak_;                               // slots that may be harmed
  Trouble trouble_ = Trouble::nodes;                            // of this round, in a cluster
  std::size_t weak_node_ = 0;                                   // with Trouble::one_node
  std::vector<TimePoint> well_again_;                           // by slot
  std::vector<bool> gone_;                                      // by slot: never comes back
  std::optional<std::pair<std::size_t, std::size_t>> swapped_;  // slots whose drives are in each other's bays
  unsigned working_ = 0;                                        // clients
  std::optional<std::size_t> asked_;                            // the node that all requests go to; none: any
  std::vector<std::shared_ptr<BucketLife>> buckets_;            // of this round
  unsigned buckets_behind_ = 0;                                 // ever, by delete_behind_a_node()
  bool long_round_ = false;                                     // beyond what leases and graces last
  bool wild_clocks_ = false;                                    // by more than a minute
  std::vector<TimePoint> deaf_until_;    // by node: since then it hears of each change in etcd, and soon
  std::optional<TimePoint> etcd_left_;   // out of every node's reach since then
  bool etcd_ails_ = false;               // for all nodes
  bool adding_ = false;                  // the spare node; nobody knows yet
  std::optional<std::size_t> draining_;  // a node that was, or may be
  bool shrunk_ = false;                  // one has gone
  bool harmed_ = false;                  // drives
  unsigned starting_ = 0;                // nodes
  bool ended_ = false;                   // the traffic
  bool given_up_ = false;                // the node cannot start, and need not
  bool anything_goes_ = false;           // beyond parity: only wrong bytes count
  std::uint64_t done_ = 0, failed_ = 0;
};

}  // namespace ostraka::sim
