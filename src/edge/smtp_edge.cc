#include "edge/smtp_edge.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "settings/addresses.h"

namespace mansio::edge {
namespace {

namespace asio = boost::asio;

/// A client beyond a limit is told so within this time, or not at all.
constexpr Duration refusal_time = std::chrono::seconds(1);
constexpr std::uint32_t refusals_max = 100;  // at a time, per loop
constexpr Duration accept_pause = std::chrono::milliseconds(100);

std::shared_ptr<const Profile> make_profile(const settings::Settings& settings,
                                            const settings::Listener& listener,
                                            const SmtpEdge::Ports& ports) {
  const settings::Limits& limits = settings.limits;
  auto profile = std::make_shared<Profile>();
  smtp::ServerOptions& options = profile->options;
  options.lmtp = listener.protocol == "lmtp";
  options.hostname = settings.server.hostname;
  options.bare_newline = listener.bare_newline == "normalize" ? smtp::BareNewline::normalize
                                                              : smtp::BareNewline::reject;
  options.long_line =
      limits.line_over == "reject" ? smtp::LongLine::reject : smtp::LongLine::encode;
  options.limits.command_line = limits.command_line;
  options.limits.data_line = limits.line;
  options.limits.message = limits.message;
  options.limits.header = limits.header;
  options.limits.header_lines = limits.header_lines;
  options.limits.recipients = limits.recipients;
  options.limits.messages = limits.messages_per_connection;
  options.limits.hops = limits.hops;
  options.limits.errors_soft = limits.errors_soft;
  options.limits.errors_hard = limits.errors_hard;
  options.limits.junk = limits.junk_commands;
  options.limits.idle = limits.idle;
  options.limits.idle_under_stress = limits.idle_under_stress;
  options.limits.command = limits.command;
  options.limits.message_time = limits.message_time;
  options.limits.data_rate = limits.data_rate;
  options.limits.handshake = limits.tls_handshake;
  if (listener.tls != "none") {
    net::TlsOptions tls;
    tls.certificate = listener.certificate;
    tls.key = listener.key;
    profile->tls = ports.make_tls(tls);
    options.tls = profile->tls.get();
    options.tls_implicit = listener.tls == "implicit";
  }
  profile->relay_from = listener.relay_from;
  profile->content_in_memory = limits.content_in_memory;
  if (!settings.bounces.domain.empty()) {
    profile->bounces = std::make_shared<const BounceDesk>(settings.bounces);
  }
  return profile;
}

}  // namespace

/// One event loop. Runs on: its executor, except `load`.
struct SmtpEdge::Loop {
  explicit Loop(asio::any_io_executor its_executor)
      : executor(its_executor), group(std::move(its_executor)) {}

  asio::any_io_executor executor;
  TaskGroup group;
  std::shared_ptr<WakeList> wakes = std::make_shared<WakeList>();
  std::uint32_t refusals = 0;
  std::atomic<std::uint32_t> load{0};  // connections
};

/// One listener. All of them accept on the first loop.
struct SmtpEdge::Door {
  std::string protocol;
  Endpoint configured;
  unsigned mode = net::private_socket_mode;
  std::shared_ptr<Listener> listener;
  std::shared_ptr<const Profile> profile;  // guarded by SmtpEdge::mutex_
  std::atomic<bool> closed{false};
};

/// The right to be connected; given back at its end.
struct SmtpEdge::Place {
  Place(SmtpEdge& its_edge, std::string its_client, Loop& its_loop, bool is_counted)
      : edge(its_edge), client(std::move(its_client)), loop(its_loop), counted(is_counted) {}

  ~Place() { edge.leave(*this); }

  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  SmtpEdge& edge;
  const std::string client;
  Loop& loop;
  const bool counted;  // false: only to be told that there is none
};

SmtpEdge::Ports SmtpEdge::ports(Admission& admission, Clock& clock,
                                std::vector<asio::any_io_executor> loops, std::size_t descriptors) {
  return {admission, clock, std::move(loops), descriptors, net::listen, net::make_tls_context};
}

SmtpEdge::SmtpEdge(Ports ports, std::shared_ptr<const settings::Settings> settings)
    : ports_(std::move(ports)) {
  for (const auto& executor : ports_.loops) loops_.push_back(std::make_unique<Loop>(executor));
  // Opened by start(); so an address in use does not show before.
  Doors doors = make_doors(*settings, {});
  use(*settings, std::move(doors));
}

SmtpEdge::~SmtpEdge() = default;

// ---- listeners ----------------------------------------------------------------------------------

/// The doors that `settings` want: those that are open already with a new profile beside them.
SmtpEdge::Doors SmtpEdge::make_doors(const settings::Settings& settings, const Doors& open) const {
  Doors doors;
  for (const settings::Listener& listener : settings.listeners) {
    if (listener.protocol != "smtp" && listener.protocol != "lmtp") continue;
    auto door = std::make_shared<Door>();
    door->protocol = listener.protocol;
    door->configured = listener.address;
    door->mode = settings::mode_of(listener.mode);
    door->profile = make_profile(settings, listener, ports_);
    for (const auto& old : open) {
      if (old->configured == door->configured && old->protocol == door->protocol) {
        door->listener = old->listener;
      }
    }
    doors.push_back(std::move(door));
  }
  return doors;
}

/// Takes limits and doors over; a door that was open stays the same object with a new profile.
void SmtpEdge::use(const settings::Settings& settings, Doors doors) {
  std::uint64_t connections_max = settings.limits.connections;
  if (ports_.descriptors > 0) {
    // The other half is for deliveries, the spool and everything else.
    connections_max =
        std::min<std::uint64_t>(connections_max, std::max<std::size_t>(ports_.descriptors / 2, 1));
  }
  state_->connections_max = connections_max;
  const std::lock_guard lock(mutex_);
  connections_per_client_ = settings.limits.connections_per_client;
  limits_relays_ = settings.limits.connections_per_client_set;
  for (auto& door : doors) {
    for (const auto& old : doors_) {
      if (door->listener && old->listener == door->listener) {
        old->profile = door->profile;
        old->mode = door->mode;
        door = old;
        break;
      }
    }
  }
  doors_ = std::move(doors);
}

void SmtpEdge::start() {
  const asio::any_io_executor& first = loops_.front()->executor;
  for (const auto& door : doors_)
    door->listener = ports_.listen(first, door->configured, door->mode);
  for (const auto& door : doors_) admit_clients(door);
}

void SmtpEdge::reload(std::shared_ptr<const settings::Settings> settings) {
  Doors before;
  {
    const std::lock_guard lock(mutex_);
    before = doors_;
  }
  Doors doors = make_doors(*settings, before);
  Doors fresh;
  for (const auto& door : doors) {
    if (door->listener) continue;
    door->listener = ports_.listen(loops_.front()->executor, door->configured, door->mode);
    fresh.push_back(door);
  }
  for (const auto& door : doors) {
    for (const auto& old : before) {
      // What is in use keeps its file: a second one could not be opened at its path.
      const bool changes = old->listener == door->listener && old->mode != door->mode;
      if (changes) net::set_socket_mode(door->configured, door->mode);
    }
  }
  use(*settings, doors);
  for (const auto& door : fresh) admit_clients(door);
  for (const auto& old : before) {
    const bool stays = std::any_of(doors.begin(), doors.end(), [&](const auto& door) {
      return door->listener == old->listener;
    });
    if (!stays) close_door(old);
  }
}

void SmtpEdge::admit_clients(const std::shared_ptr<Door>& door) {
  log::info("listening")
      .field("protocol", door->protocol)
      .field("address", door->listener->local().to_string());
  asio::post(loops_.front()->executor, [this, door] {
    auto accepting = accept_at(door);
    loops_.front()->group.spawn("accept", std::move(accepting));
  });
}

void SmtpEdge::close_door(const std::shared_ptr<Door>& door) {
  door->closed = true;
  if (!door->listener) return;
  asio::post(loops_.front()->executor, [listener = door->listener] { listener->close(); });
}

std::vector<Endpoint> SmtpEdge::endpoints() const {
  const std::lock_guard lock(mutex_);
  std::vector<Endpoint> result;
  for (const auto& door : doors_) {
    if (door->listener) result.push_back(door->listener->local());
  }
  return result;
}

// ---- connections --------------------------------------------------------------------------------

SmtpEdge::Loop& SmtpEdge::least_loaded() {
  const auto least = std::min_element(
      loops_.begin(), loops_.end(),
      [](const auto& a, const auto& b) { return a->load.load() < b->load.load(); });
  return **least;
}

Task<void> SmtpEdge::accept_at(std::shared_ptr<Door> door) {
  const std::shared_ptr<Listener> listener = door->listener;
  while (!door->closed) {
    Loop& loop = least_loaded();
    auto accepting = listener->accept(loop.executor);
    auto accepted = co_await std::move(accepting);
    if (door->closed) break;
    if (!accepted) {
      log::warning("accept_failed")
          .field("listener", door->configured.to_string())
          .field("error", accepted.error().message());
      co_await sleep_for(ports_.clock, accept_pause);
      continue;
    }
    std::shared_ptr<const Profile> profile;
    {
      const std::lock_guard lock(mutex_);
      profile = door->profile;
    }
    take(std::move(*accepted), loop, profile, listener->local());
  }
}

/// Counts the client in and hands its stream to the loop that it belongs to.
void SmtpEdge::take(std::unique_ptr<Stream> stream, Loop& loop,
                    const std::shared_ptr<const Profile>& profile, const Endpoint& local) {
  ++state_->statistics.connections;
  const Endpoint peer = stream->peer();
  const bool relays = may_relay(*profile, peer, local);
  std::string refusal;
  auto place = find_place(net::client_network(peer.address), relays, loop, refusal);
  if (!refusal.empty()) {
    ++state_->statistics.connections_refused;
    log::warning("connection_refused").field("client", peer.to_string()).field("reason", refusal);
  }
  const bool refused = !refusal.empty();
  // Plain text would only confuse a client that waits for a handshake.
  const bool mute = refused && profile->options.tls_implicit;
  asio::post(loop.executor, [this, &loop, stream = std::move(stream), place = std::move(place),
                             profile, relays, refused, mute]() mutable {
    if (mute || (refused && loop.refusals >= refusals_max)) return;  // closes it
    auto task = refused ? refuse(std::move(stream), std::move(place))
                        : serve(std::move(stream), std::move(place), profile, relays, loop);
    loop.group.spawn("connection", std::move(task));
  });
}

std::shared_ptr<SmtpEdge::Place> SmtpEdge::find_place(const std::string& client, bool relays,
                                                      Loop& loop, std::string& refusal) {
  const std::lock_guard lock(mutex_);
  if (connections_ >= state_->connections_max) {
    refusal = "too many connections";
  } else if (!relays || limits_relays_) {
    const auto found = clients_.find(client);
    if (found != clients_.end() && found->second >= connections_per_client_) {
      refusal = "too many connections of this client";
    }
  }
  const bool counted = refusal.empty();
  if (counted) {
    ++connections_;
    ++clients_[client];
    ++loop.load;
    state_->statistics.connections_open = connections_;
  }
  return std::make_shared<Place>(*this, client, loop, counted);
}

void SmtpEdge::leave(const Place& place) {
  if (!place.counted) return;
  const std::lock_guard lock(mutex_);
  --connections_;
  --place.loop.load;
  state_->statistics.connections_open = connections_;
  const auto found = clients_.find(place.client);
  if (--found->second == 0) clients_.erase(found);
}

Task<void> SmtpEdge::serve(std::unique_ptr<Stream> stream, std::shared_ptr<Place> place,
                           std::shared_ptr<const Profile> profile, bool relays, Loop& loop) {
  smtp::ServerOptions options = profile->options;
  const Endpoint peer = stream->peer();
  auto handler =
      std::make_shared<ClientHandler>(ports_.admission, ports_.clock, state_, profile, peer,
                                      stream->peer_credentials(), relays, loop.wakes);
  auto serving =
      smtp::serve(std::move(stream), std::move(options), std::move(handler), ports_.clock);
  co_await std::move(serving);
  place.reset();
}

Task<void> SmtpEdge::refuse(std::unique_ptr<Stream> stream, std::shared_ptr<Place> place) {
  Loop& loop = place->loop;
  ++loop.refusals;
  stream->set_deadline(ports_.clock.steady_now() + refusal_time);
  const std::string line = "421 4.3.2 Too many connections, try again later\r\n";
  std::vector<asio::const_buffer> pieces{asio::buffer(line)};
  const Result<void> written = co_await stream->write(std::move(pieces));
  static_cast<void>(written);  // it ends either way
  stream->close();
  --loop.refusals;
}

// ---- the end ------------------------------------------------------------------------------------

Task<void> SmtpEdge::stop(SteadyTime deadline) {
  state_->stopping = true;
  Doors doors;
  {
    const std::lock_guard lock(mutex_);
    doors = doors_;
  }
  for (const auto& door : doors) close_door(door);
  for (const auto& loop : loops_) {
    asio::post(loop->executor, [wakes = loop->wakes] {
      // A copy: what is called may take itself off the list.
      const std::vector<std::function<void()>> all(wakes->begin(), wakes->end());
      for (const auto& wake : all) wake();
    });
  }
  for (const auto& loop : loops_) {
    auto stopping = stop_loop(*loop, deadline);
    auto spawned = asio::co_spawn(loop->executor, std::move(stopping), asio::use_awaitable);
    co_await std::move(spawned);
  }
}

Task<void> SmtpEdge::stop_loop(Loop& loop, SteadyTime deadline) {
  loop.group.close();
  const auto timer = ports_.clock.make_timer(loop.executor);
  timer->start(deadline, [&loop] { loop.group.cancel(); });
  co_await loop.group.wait();
}

}  // namespace mansio::edge
