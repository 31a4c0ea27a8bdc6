// What the engine asks the DNS, and what can come back. The port that delivery/ works with;
// unbound_resolver.h implements it over libunbound, testing/ with records in memory.
//
// A lookup never fails in the sense of an exception or an error code: "I do not know" is an answer,
// and the caller defers. Names are A-labels in lower case, without a final dot.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/stream.h"

namespace mansio::dns {

enum class Status : std::uint8_t {
  found,      ///< at least one record
  no_data,    ///< the name exists, but has no record of that type
  no_domain,  ///< NXDOMAIN: the name does not exist
  temporary,  ///< SERVFAIL, REFUSED, time-out, a bogus signature, an answer that is no answer, and
              ///< whatever else leaves it open: ask again later
};
const char* to_text(Status status);

struct MxRecord {
  std::uint16_t preference = 0;
  std::string host;  ///< "" for the root: a null MX (RFC 7505)
  friend auto operator<=>(const MxRecord&, const MxRecord&) = default;
};

struct MxAnswer {
  Status status = Status::temporary;
  std::vector<MxRecord> records;  ///< as they came; of more than mx_records_max the best
  bool secure = false;            ///< validated by DNSSEC
  std::string why;                ///< for people, where status is not `found`
};

enum class Family : std::uint8_t { v4, v6 };

struct AddressAnswer {
  Status status = Status::temporary;
  std::vector<std::string> addresses;  ///< in text form; at most addresses_max
  bool secure = false;
  std::string canonical;  ///< the end of a CNAME chain, if there was one
  std::string why;
};

constexpr std::size_t mx_records_max = 100;
constexpr std::size_t addresses_max = 32;

/// Thread safety: every function from a coroutine on any loop; it completes there. Lookups for one
/// name that are under way at the same time are one lookup. Bounded: with too many under way the
/// answer is `temporary`.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// A CNAME of the domain itself is followed (RFC 5321 §5.1).
  virtual Task<MxAnswer> mx(std::string domain) = 0;
  /// The same past the cache. For a finding that would end mail and rests on several answers: they
  /// may be of different age, and belong together no more.
  virtual Task<MxAnswer> mx_now(std::string domain) = 0;
  /// The hosts file of the machine comes first.
  virtual Task<AddressAnswer> addresses(std::string host, Family family) = 0;
};

}  // namespace mansio::dns
