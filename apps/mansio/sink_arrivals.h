// What arrived at the sink: counted, written down, and compared with what the load generator was
// promised. Thread safety: all functions from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mansio/load_record.h"
#include "mansio/sink_data.h"

namespace mansio::sink {

/// One message that the sink acknowledged.
struct Arrival {
  std::string sender;
  std::vector<std::string> recipients;  ///< acknowledged ones
  Received received;
};

/// The verdict of `--check`.
struct CheckResult {
  std::uint64_t acknowledged = 0;     ///< recipients that the load generator was promised
  std::uint64_t arrived = 0;          ///< of these, at least once
  std::uint64_t refused = 0;          ///< of these, not arrived but refused for good by a rule
  std::uint64_t missing = 0;          ///< neither
  std::uint64_t twice = 0;            ///< arrivals beyond the first
  std::uint64_t damaged = 0;          ///< arrivals whose octets differ from those sent
  std::uint64_t unknown = 0;          ///< arrivals with a token that the record does not have
  std::uint64_t unreadable = 0;       ///< lines of the record that are no record
  std::vector<std::string> examples;  ///< up to ten "what: token recipient"
};

class Arrivals {
 public:
  /// `keep`: remember every arrival, as counting repeats and check() need.
  Arrivals(load::RecordFile& record, bool keep) : record_(record), keep_(keep) {}

  void add(const Arrival& arrival);
  /// A recipient was refused for good, by itself or with its message.
  void refused_for_good(const std::string& recipient);

  std::uint64_t messages() const { return messages_; }

  std::uint64_t recipients() const { return recipients_; }

  std::uint64_t octets() const { return octets_; }

  std::uint64_t repeated() const { return repeated_; }  ///< recipients that had arrived before

  /// Compares with the record of a load run. Throws std::runtime_error if it cannot be read.
  CheckResult check(const std::string& load_record) const;

 private:
  struct Seen {
    std::uint32_t count = 0;      ///< arrivals of this recipient with this token
    std::uint32_t checksum = 0;   ///< of the first
    std::uint32_t differing = 0;  ///< later ones with another checksum
  };

  load::RecordFile& record_;
  const bool keep_;
  std::atomic<std::uint64_t> messages_ = 0;
  std::atomic<std::uint64_t> recipients_ = 0;
  std::atomic<std::uint64_t> octets_ = 0;
  std::atomic<std::uint64_t> repeated_ = 0;
  mutable std::mutex mutex_;
  // Protected by mutex_.
  std::unordered_map<std::string, std::unordered_map<std::string, Seen>>
      seen_;  ///< token, recipient
  std::unordered_set<std::string> refused_;
};

}  // namespace mansio::sink
