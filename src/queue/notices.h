// Notices: decides who is told what, fetches what a notice needs (the last tries, the part of the
// original that goes back), and has it built, ready to be admitted in the same operation as the
// outcome that causes it.
//
// The guards stand here, outside the BounceBuilder, so that no builder can undo them:
//   1. nobody is told of a message with the null reverse-path, and nobody of a notice but the
//      postmaster, once, with [notify] double_bounce (RFC 3461 §5.2, RFC 5321 §6.1);
//   2. every notice has the null reverse-path, one recipient, NOTIFY=NEVER and no RET;
//   3. a builder that throws, or gives no content, is replaced by the engine's own.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/stream.h"
#include "dsn/bounce_builder.h"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio::queue {

/// The binding of the lanes that notices travel in: their sessions are limited by [notify]
/// connections, so that a flood of notices does not crowd out mail.
inline constexpr std::string_view notices_binding = "notices";

/// Thread safety: any loop; each call is independent.
class NoticeMaker {
 public:
  struct Ports {
    spool::Spool& spool;
    Clock& clock;
    std::function<QueueId()> new_id;  ///< thread safe
    std::unique_ptr<Random> random;
    std::unique_ptr<dsn::BounceBuilder> site_builder = nullptr;  ///< null: the engine's own
  };

  explicit NoticeMaker(Ports ports);

  /// How much of the original may go back; `none` where with it the notice did not fit.
  enum class Content { as_set, none };

  /// The notices about those recipients that somebody is to be told of, copies to the postmaster
  /// included; empty if there are none. `recipients`: their action is decided here; `attempts`
  /// holds what the history does not have yet. If the content of the original cannot be read, they
  /// go without it: the reader is told in any case.
  Task<std::vector<spool::Admit>> make(std::shared_ptr<const Message> original,
                                       std::vector<dsn::ReportedRecipient> recipients,
                                       dsn::NextHop next_hop,
                                       std::shared_ptr<const settings::Settings> settings,
                                       Content content = Content::as_set);

  /// Counts and logs recipients whose sender is not told for a reason of the caller's.
  void suppress(const Message& original, const char* reason, std::size_t recipients);

  /// Recipients told of by action, and not told of by reason, since start; names as in the log.
  std::vector<std::pair<std::string, std::uint64_t>> told() const;
  std::vector<std::pair<std::string, std::uint64_t>> suppressed() const;

 private:
  struct Round;

  std::uint64_t random();
  void decide(Round& round);
  Task<void> add_attempts(Round& round);
  Task<void> load_content(Round& round);
  void build_all(Round& round, dsn::Audience audience, const Address& to,
                 const std::vector<dsn::ReportedRecipient>& recipients);
  std::optional<dsn::Notice> build(const dsn::NoticeRequest& request);

  Ports ports_;
  std::unique_ptr<dsn::BounceBuilder> own_builder_;
  std::mutex random_mutex_;  // guards ports_.random
  std::array<std::atomic<std::uint64_t>, 4> told_{};
  std::array<std::atomic<std::uint64_t>, 8> suppressed_{};
};

}  // namespace mansio::queue
