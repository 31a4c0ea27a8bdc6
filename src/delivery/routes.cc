#include "delivery/routes.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

#include "base/event.h"
#include "base/text.h"
#include "message/address.h"

namespace mansio::delivery {
namespace {

bool is_literal(const Endpoint& hop) {
  ErrorCode error;
  boost::asio::ip::make_address(hop.address, error);
  return hop.is_unix() || !error;
}

/// Lookups that run at the same time. Shared with them: whoever waits may be cancelled first.
struct Gathering {
  explicit Gathering(boost::asio::any_io_executor executor) : changed(std::move(executor)) {}

  Event changed;
  std::size_t under_way = 0;
  std::vector<HostAnswers> answers;
};

Task<void> look_up(std::shared_ptr<dns::Resolver> resolver, std::shared_ptr<Gathering> gathering,
                   std::size_t index, dns::Family family) {
  auto asking = resolver->addresses(gathering->answers[index].host.name, family);
  dns::AddressAnswer answer = co_await std::move(asking);
  HostAnswers& host = gathering->answers[index];
  (family == dns::Family::v4 ? host.v4 : host.v6) = std::move(answer);
}

void begin(boost::asio::any_io_executor executor, const std::shared_ptr<dns::Resolver>& resolver,
           const std::shared_ptr<Gathering>& gathering, std::size_t index, dns::Family family) {
  HostAnswers& host = gathering->answers[index];
  // What stands if the lookup itself breaks: nothing is known.
  (family == dns::Family::v4 ? host.v4 : host.v6) = dns::AddressAnswer{};
  ++gathering->under_way;
  boost::asio::co_spawn(executor, look_up(resolver, gathering, index, family),
                        [gathering](const std::exception_ptr&) {
                          --gathering->under_way;
                          gathering->changed.notify_all();
                        });
}

Task<void> wait_for_all(std::shared_ptr<Gathering> gathering) {
  while (gathering->under_way != 0) {
    co_await gathering->changed.wait();
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) {
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
  }
}

Task<std::vector<HostAnswers>> look_up_all(std::shared_ptr<dns::Resolver> resolver,
                                           std::vector<MxHost> hosts, Families families) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto gathering = std::make_shared<Gathering>(executor);
  for (MxHost& host : hosts) {
    HostAnswers& answers = gathering->answers.emplace_back();
    answers.host = std::move(host);
  }
  for (std::size_t i = 0; i < gathering->answers.size(); ++i) {
    if (families != Families::ipv4_only) begin(executor, resolver, gathering, i, dns::Family::v6);
    if (families != Families::ipv6_only) begin(executor, resolver, gathering, i, dns::Family::v4);
  }
  auto first = wait_for_all(gathering);
  co_await std::move(first);
  for (std::size_t i = 0; i < gathering->answers.size(); ++i) {
    if (!needs_other_family(gathering->answers[i], families)) continue;
    const bool v6 = families == Families::ipv4_only;
    begin(executor, resolver, gathering, i, v6 ? dns::Family::v6 : dns::Family::v4);
  }
  auto second = wait_for_all(gathering);
  co_await std::move(second);
  co_return std::move(gathering->answers);
}

TlsPolicy tls_policy(const std::string& setting) {
  if (setting == "none") return TlsPolicy::none;
  return setting == "required" ? TlsPolicy::required : TlsPolicy::opportunistic;
}

std::string hops_text(const std::vector<RouteHost>& hosts) {
  std::string text;
  for (const RouteHost& host : hosts) {
    if (!text.empty()) text += ", ";
    text += host.endpoint.to_string();
  }
  return text;
}

/// The hops as the settings have them.
std::vector<RouteHost> configured_hosts(const settings::Route& route) {
  std::vector<RouteHost> hosts;
  for (const Endpoint& hop : route.next_hop) {
    RouteHost host;
    host.name = hop.address;
    host.endpoint = hop;
    if (!hop.is_unix() && hop.port == 0) host.endpoint.port = route.port;
    hosts.push_back(std::move(host));
  }
  return hosts;
}

std::string no_route(const std::string& destination) { return "no [route] matches " + destination; }

}  // namespace

Routes::Routes(std::shared_ptr<const settings::Settings> settings,
               std::shared_ptr<dns::Resolver> resolver, Ourselves ourselves,
               std::unique_ptr<Random> random)
    : settings_(std::move(settings)),
      resolver_(std::move(resolver)),
      ourselves_(std::move(ourselves)),
      random_(std::move(random)) {}

MxChoice Routes::choose(const std::string& domain, const dns::MxAnswer& answer) {
  const std::lock_guard lock(random_mutex_);
  return choose_mx(domain, answer, ourselves_, *random_);
}

/// From MX records to addresses.
Task<void> Routes::find_hosts(RouteResult& result, std::string domain, AddressRules rules,
                              dns::MxAnswer answer) {
  MxChoice choice = choose(domain, answer);
  result.how = choice.how;
  result.left_out = std::move(choice.left_out);
  result.failure = std::move(choice.failure);
  if (result.failure) co_return;
  rules.more_hosts = choice.more_hosts;
  auto looking_up = look_up_all(resolver_, std::move(choice.hosts), rules.families);
  const std::vector<HostAnswers> answers = co_await std::move(looking_up);
  AddressChoice found = choose_addresses(domain, choice.how, answers, rules, ourselves_);
  result.route.hosts = std::move(found.hosts);
  result.failure = std::move(found.failure);
  for (std::string& line : found.left_out) result.left_out.push_back(std::move(line));
}

Task<void> Routes::find_by_mx(RouteResult& result, std::string domain, AddressRules rules) {
  if (domain.starts_with('[')) {
    result.how = "address literal";
    AddressChoice found = choose_literal(domain, rules, ourselves_);
    result.route.hosts = std::move(found.hosts);
    result.failure = std::move(found.failure);
    result.left_out = std::move(found.left_out);
    co_return;
  }
  auto asking = resolver_->mx(domain);
  dns::MxAnswer answer = co_await std::move(asking);
  auto finding = find_hosts(result, domain, rules, std::move(answer));
  co_await std::move(finding);
  // Without hosts to look up (`how` is empty) or with a null MX, one answer says it all.
  const bool unusable = !result.how.empty() && result.failure &&
                        result.failure->outcome == Outcome::failed &&
                        result.failure->reply.code != 556;
  if (!unusable) co_return;
  // MX records that are still kept may name hosts that the zone has given up since, and that there
  // were none may be as old: before mail fails by them, the zone itself is asked.
  auto asking_now = resolver_->mx_now(domain);
  answer = co_await std::move(asking_now);
  auto finding_again = find_hosts(result, domain, rules, std::move(answer));
  co_await std::move(finding_again);
}

/// Hops that are names are looked up; what the operator wrote is used, whatever address it has.
/// No address is never the end of a message: the settings can be put right.
Task<void> Routes::find_next_hops(RouteResult& result, const settings::Route& route,
                                  Families families) {
  result.how = "next_hop";
  const std::vector<RouteHost> configured = configured_hosts(route);
  std::vector<MxHost> names;
  for (const RouteHost& host : configured) {
    if (!is_literal(host.endpoint)) names.push_back({to_lower(host.name), std::nullopt});
  }
  auto looking_up = look_up_all(resolver_, std::move(names), families);
  const std::vector<HostAnswers> answers = co_await std::move(looking_up);
  auto next = answers.begin();
  for (const RouteHost& host : configured) {
    if (is_literal(host.endpoint)) {
      result.route.hosts.push_back(host);
      continue;
    }
    const std::vector<std::string> addresses = ordered_addresses(*next, families);
    if (addresses.empty()) {
      const std::optional<dns::AddressAnswer>& told = next->v4 ? next->v4 : next->v6;
      result.left_out.push_back(host.name + ": no address is known: " + escape(told->why));
    }
    for (const std::string& address : addresses) {
      if (result.route.hosts.size() == route_addresses_max) break;
      result.route.hosts.push_back({host.name, {address, host.endpoint.port}});
    }
    ++next;
  }
  if (!result.route.hosts.empty()) co_return;
  std::string text = "no next_hop of the route has an address";
  for (const std::string& line : result.left_out) text += "; " + line;
  result.failure = route_failure(Cause::dns, 451, {4, 4, 3}, std::move(text));
}

Task<RouteResult> Routes::route(LaneKey lane) {
  RouteResult result;
  const std::shared_ptr<const settings::Settings> settings = settings_;
  const settings::Route* found = settings::route_for(*settings, lane);
  if (found == nullptr) {
    result.failure = route_failure(Cause::local, 451, {4, 4, 4}, no_route(lane.destination));
    co_return result;
  }
  result.pattern = found->pattern;
  result.channel = found->channel;
  const std::string type = settings::channel_type(*settings, found->channel);
  result.lmtp = type == "lmtp";
  if (type == "hold" || type == "discard") {
    result.failure = route_failure(Cause::policy, 451, {4, 4, 4},
                                   "the channel " + found->channel + " sends nothing");
    co_return result;
  }
  result.route.tls = tls_policy(found->tls);
  result.route.tls_verify = found->tls_verify;
  result.route.auth = found->auth;
  const Families families = families_of(settings->dns.prefer);
  if (found->next_hop.empty()) {
    AddressRules rules;
    rules.families = families;
    rules.allow_private = settings->dns.allow_private;
    rules.port = found->port;
    auto finding = find_by_mx(result, lane.destination, rules);
    co_await std::move(finding);
  } else {
    auto finding = find_next_hops(result, *found, families);
    co_await std::move(finding);
  }
  co_return result;
}

LaneKey Routes::lane_for(const std::string& destination, const std::string& sender) const {
  LaneKey lane;
  lane.destination = destination;
  Address reverse_path;
  if (!sender.empty()) {
    const auto parsed = Address::parse(sender, true);
    if (parsed) reverse_path = *parsed;
  }
  lane.binding = settings::binding_for(*settings_, destination, reverse_path);
  return lane;
}

std::string Routes::describe(const std::string& destination) const {
  const settings::Route* found = settings::route_for(*settings_, destination);
  if (found == nullptr) return no_route(destination);
  if (found->next_hop.empty()) return "the MX hosts of " + destination;
  return hops_text(configured_hosts(*found));
}

}  // namespace mansio::delivery
