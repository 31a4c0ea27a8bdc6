#include "dns/unbound_resolver.h"

#include <unbound.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/event.h"
#include "base/text.h"
#include "dns/answer.h"

namespace mansio::dns {
namespace {

constexpr int class_in = 1;
constexpr int type_a = 1;
constexpr int type_mx = 15;
constexpr int type_aaaa = 28;
/// Contexts of mx_now() at a time: each has a thread.
constexpr std::size_t now_max = 8;

struct DeleteContext {
  void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};

using Context = std::unique_ptr<ub_ctx, DeleteContext>;

void require(int error, const std::string& what) {
  if (error != 0) throw std::runtime_error("DNS: " + what + ": " + ub_strerror(error));
}

Context make_context(const UnboundOptions& options) {
  Context context(ub_ctx_create());
  if (!context) throw std::runtime_error("DNS: no memory for a resolver");
  // What libunbound would write to standard error is in the answers too.
  ub_ctx_debugout(context.get(), nullptr);
  const std::pair<const char*, const char*> settings[] = {
      {"do-not-query-localhost:", "no"},  // a resolver on this machine is the usual case
      {"serve-expired:", "no"},
      {"msg-cache-size:", "8m"},
      {"rrset-cache-size:", "16m"},
      {"key-cache-size:", "2m"},
      {"neg-cache-size:", "1m"},
      {"outgoing-range:", "256"},  // sockets for queries under way; further queries wait for one
      {"num-queries-per-thread:", "4096"},
      {"outgoing-num-tcp:", "32"},
      // A server that was down is asked again soon after it is back.
      {"infra-host-ttl:", "30"},
      {"infra-keep-probing:", "yes"},
  };
  for (const auto& [key, value] : settings) {
    require(ub_ctx_set_option(context.get(), key, value), std::string(key) + " " + value);
  }
  for (const std::string& server : options.servers) {
    require(ub_ctx_set_fwd(context.get(), server.c_str()), "the server \"" + server + "\"");
  }
  if (options.servers.empty() && std::ifstream(options.resolv_conf).good()) {
    require(ub_ctx_resolvconf(context.get(), options.resolv_conf.c_str()), options.resolv_conf);
  } else if (options.servers.empty()) {
    // resolv.conf(5): without the file, the name server of the local machine.
    require(ub_ctx_set_fwd(context.get(), "127.0.0.1"), "the server \"127.0.0.1\"");
  }
  if (!options.trust_anchor.empty()) {
    require(ub_ctx_add_ta_file(context.get(), options.trust_anchor.c_str()), options.trust_anchor);
  }
  // A thread, not a process: this process has threads itself.
  require(ub_ctx_async(context.get(), 1), "the thread");
  // The first call that fixes the options, so that a bad trust anchor is found out here. And the
  // zones test. (RFC 6761 §6.2) and home.arpa. (RFC 8375) are for their users to serve, not for a
  // library to deny.
  for (const char* zone : {"test.", "home.arpa."}) {
    require(ub_ctx_zone_remove(context.get(), zone),
            options.trust_anchor.empty() ? "the options" : options.trust_anchor);
  }
  return context;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

RawAnswer temporary(std::string why) {
  RawAnswer raw;
  raw.why = std::move(why);
  return raw;
}

RawAnswer raw_answer(int error, const ub_result* result) {
  if (error != 0 || result == nullptr) return temporary(ub_strerror(error));
  if (result->bogus != 0) {
    return temporary(std::string("bogus: ") + (result->why_bogus == nullptr
                                                   ? "DNSSEC validation failed"
                                                   : escape(result->why_bogus)));
  }
  RawAnswer raw;
  raw.status = status_of(result->rcode, result->havedata != 0);
  raw.secure = result->secure != 0;
  if (raw.status != Status::found) raw.why = response_code_name(result->rcode);
  if (raw.status == Status::no_data) raw.why = "no such record";
  if (result->canonname != nullptr && result->qname != nullptr &&
      !equals_ignoring_case(result->canonname, result->qname)) {
    raw.canonical = to_lower(result->canonname);
    if (raw.canonical.ends_with('.')) raw.canonical.pop_back();
  }
  if (result->havedata == 0 || result->data == nullptr) return raw;
  // A DNS message has at most 64 KiB, so this ends soon.
  for (int i = 0; result->data[i] != nullptr; ++i) {
    if (result->len[i] <= 0) continue;
    raw.rdata.emplace_back(result->data[i], static_cast<std::size_t>(result->len[i]));
  }
  return raw;
}

/// A name that can be asked for: as text, with labels of 1 to 63 octets and 253 in all.
bool can_be_asked(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (const std::string_view label : split(name, '.')) {
    if (label.empty() || label.size() > 63) return false;
    for (const char c : label) {
      const auto octet = static_cast<unsigned char>(c);
      if (octet <= 0x20 || octet >= 0x7f || c == '\\') return false;
    }
  }
  return true;
}

/// A coroutine that waits for an answer.
struct Waiter {
  explicit Waiter(boost::asio::any_io_executor its_executor)
      : executor(its_executor), changed(std::move(its_executor)) {}

  boost::asio::any_io_executor executor;
  Event changed;
  std::shared_ptr<const RawAnswer> answer;  // of `executor` alone
};

}  // namespace

/// The part that lives until the last lookup has let go of it. State is confined to `executor_`.
class UnboundResolver::Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(UnboundOptions options, Clock& clock, boost::asio::any_io_executor executor)
      : options_(std::move(options)),
        clock_(clock),
        executor_(std::move(executor)),
        context_(make_context(options_)),
        readable_(executor_) {
    if (!options_.hosts_file.empty()) hosts_ = parse_hosts(read_file(options_.hosts_file));
    const int descriptor = ub_fd(context_.get());
    if (descriptor < 0) throw std::runtime_error("DNS: the resolver has no descriptor");
    readable_.assign(descriptor);
  }

  ~Engine() {
    readable_.release();  // it is libunbound's to close
  }

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const Hosts& hosts() const { return hosts_; }

  std::uint64_t lookups() const { return lookups_; }

  void begin() {
    boost::asio::post(executor_, [self = shared_from_this()] { self->listen(); });
  }

  /// Nothing is asked any more, and who waits gets an answer.
  void end() {
    boost::asio::post(executor_, [self = shared_from_this()] {
      self->ended_ = true;
      self->readable_.cancel();
      for (auto& [key, lookup] : self->wanted_) {
        self->answer(lookup->waiters, temporary("the resolver is being replaced"));
      }
      self->wanted_.clear();
      self->queue_.clear();
    });
  }

  static Task<std::shared_ptr<const RawAnswer>> ask(std::shared_ptr<Engine> self, std::string name,
                                                    int type) {
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto waiter = std::make_shared<Waiter>(executor);
    const SteadyTime deadline = self->clock_.steady_now() + self->options_.timeout;
    const auto timer = self->clock_.make_timer(executor);
    const std::weak_ptr<Waiter> weak = waiter;
    timer->start(deadline, [weak] {
      if (const auto waiting = weak.lock()) waiting->changed.notify_all();
    });
    // Only the coroutine itself owns the waiter, whose timer belongs to the coroutine's loop.
    boost::asio::dispatch(self->executor_, [self, weak, name = std::move(name), type]() mutable {
      self->want(std::move(name), type, weak);
    });
    while (!waiter->answer && self->clock_.steady_now() < deadline) {
      co_await waiter->changed.wait();
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        throw boost::system::system_error(boost::asio::error::operation_aborted);
      }
    }
    if (!waiter->answer) {
      waiter->answer = std::make_shared<const RawAnswer>(
          temporary("no answer within " + mansio::to_text(self->options_.timeout)));
    }
    co_return waiter->answer;
  }

 private:
  using Key = std::pair<std::string, int>;

  struct Lookup {
    Engine* engine = nullptr;
    Key key;
    std::vector<std::weak_ptr<Waiter>> waiters;
  };

  void listen() {
    if (ended_) return;
    readable_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const ErrorCode& error) {
                           if (error || self->ended_) return;
                           ub_process(self->context_.get());
                           self->fill_places();
                           self->listen();
                         });
  }

  void want(std::string name, int type, const std::weak_ptr<Waiter>& waiter) {
    if (ended_) return answer({waiter}, temporary("the resolver is being replaced"));
    const Key key(std::move(name), type);
    const auto known = wanted_.find(key);
    if (known != wanted_.end()) {
      known->second->waiters.push_back(waiter);
      return;
    }
    if (under_way_ >= options_.under_way_max && queue_.size() >= options_.waiting_max) {
      return answer({waiter}, temporary("too many lookups are under way"));
    }
    auto lookup = std::make_unique<Lookup>();
    lookup->engine = this;
    lookup->key = key;
    lookup->waiters.push_back(waiter);
    wanted_.emplace(key, std::move(lookup));
    queue_.push_back(key);
    fill_places();
  }

  void fill_places() {
    while (!queue_.empty() && under_way_ < options_.under_way_max) {
      const auto found = wanted_.find(queue_.front());
      queue_.pop_front();
      if (found == wanted_.end()) continue;
      Lookup& lookup = *found->second;
      const bool wanted = std::any_of(lookup.waiters.begin(), lookup.waiters.end(),
                                      [](const auto& waiter) { return !waiter.expired(); });
      if (!wanted) {
        wanted_.erase(found);
        continue;
      }
      start(lookup);
    }
  }

  void start(Lookup& lookup) {
    ++under_way_;
    ++lookups_;
    const int error = ub_resolve_async(context_.get(), lookup.key.first.c_str(), lookup.key.second,
                                       class_in, &lookup, &Engine::arrived, nullptr);
    if (error != 0) over(lookup, temporary(ub_strerror(error)));
  }

  /// Called by libunbound inside ub_process(), on our executor, and never after end().
  static void arrived(void* data, int error, ub_result* result) noexcept {
    auto& lookup = *static_cast<Lookup*>(data);
    RawAnswer raw = raw_answer(error, result);
    ub_resolve_free(result);
    lookup.engine->over(lookup, std::move(raw));
  }

  void over(Lookup& lookup, RawAnswer raw) {
    --under_way_;
    const auto place = wanted_.find(lookup.key);
    const std::unique_ptr<Lookup> keep = std::move(place->second);
    wanted_.erase(place);
    answer(keep->waiters, std::move(raw));
  }

  void answer(const std::vector<std::weak_ptr<Waiter>>& waiters, RawAnswer raw) {
    const auto shared = std::make_shared<const RawAnswer>(std::move(raw));
    for (const std::weak_ptr<Waiter>& weak : waiters) {
      std::shared_ptr<Waiter> waiter = weak.lock();
      if (!waiter) continue;
      const auto executor = waiter->executor;
      // Moved along, so that the last owner lets go of it on its own loop.
      boost::asio::post(executor, [waiter = std::move(waiter), shared] {
        waiter->answer = shared;
        waiter->changed.notify_all();
      });
    }
  }

  const UnboundOptions options_;
  Clock& clock_;
  const boost::asio::any_io_executor executor_;
  Hosts hosts_;  // constant after construction
  std::atomic<std::uint64_t> lookups_{0};

  Context context_;
  boost::asio::posix::stream_descriptor readable_;
  std::map<Key, std::unique_ptr<Lookup>> wanted_;  // queued or under way
  std::deque<Key> queue_;                          // of those, the queued ones
  std::size_t under_way_ = 0;
  bool ended_ = false;
};

UnboundResolver::UnboundResolver(UnboundOptions options, Clock& clock,
                                 boost::asio::any_io_executor executor)
    : options_(std::move(options)),
      clock_(clock),
      executor_(std::move(executor)),
      engine_(std::make_shared<Engine>(options_, clock_, executor_)) {
  engine_->begin();
}

UnboundResolver::~UnboundResolver() { engine_->end(); }

Task<MxAnswer> UnboundResolver::mx(std::string domain) {
  return mx_from(engine_, std::move(domain));
}

/// A context of its own, whose cache is empty: the limits on what a cache keeps are one for all
/// contexts of a process.
Task<MxAnswer> UnboundResolver::mx_now(std::string domain) {
  struct Place {
    std::shared_ptr<std::atomic<std::size_t>> taken;  // the resolver may go first
    std::shared_ptr<Engine> engine;

    ~Place() {
      if (engine) engine->end();
      --*taken;
    }
  };

  MxAnswer answer;
  const bool too_many = ++*now_under_way_ > now_max;
  Place place{now_under_way_, nullptr};
  if (too_many) {
    answer.why = "too many lookups are under way";
    co_return answer;
  }
  try {
    UnboundOptions options = options_;
    options.hosts_file.clear();
    place.engine = std::make_shared<Engine>(std::move(options), clock_, executor_);
  } catch (const std::runtime_error& error) {
    answer.why = error.what();
    co_return answer;
  }
  place.engine->begin();
  auto asking = mx_from(place.engine, std::move(domain));
  answer = co_await std::move(asking);
  co_return answer;
}

Task<MxAnswer> UnboundResolver::mx_from(std::shared_ptr<Engine> engine, std::string domain) {
  if (!can_be_asked(domain)) {
    MxAnswer none;
    none.status = Status::no_domain;
    none.why = "not a domain name";
    co_return none;
  }
  auto asking = Engine::ask(std::move(engine), to_lower(domain), type_mx);
  const auto raw = co_await std::move(asking);
  co_return mx_answer(*raw);
}

Task<AddressAnswer> UnboundResolver::addresses(std::string host, Family family) {
  AddressAnswer answer;
  host = to_lower(host);
  const auto known = engine_->hosts().find(host);
  if (known != engine_->hosts().end()) {
    for (const std::string& address : known->second) {
      const bool v6 = address.find(':') != std::string::npos;
      if (v6 == (family == Family::v6)) answer.addresses.push_back(address);
    }
    answer.status = answer.addresses.empty() ? Status::no_data : Status::found;
    if (answer.addresses.empty()) answer.why = "no such address in the hosts file";
    co_return answer;
  }
  if (!can_be_asked(host)) {
    answer.status = Status::no_domain;
    answer.why = "not a host name";
    co_return answer;
  }
  auto asking = Engine::ask(engine_, std::move(host), family == Family::v4 ? type_a : type_aaaa);
  const auto raw = co_await std::move(asking);
  co_return address_answer(*raw, family);
}

std::uint64_t UnboundResolver::lookups() const { return engine_->lookups(); }

}  // namespace mansio::dns
