# Reads the notices in a folder with Mail::DeliveryStatus::BounceParser: {"file name": {...}} as JSON.
use strict;
use warnings;
use JSON::PP;
use Mail::DeliveryStatus::BounceParser;

my %found;
for my $path (glob("$ARGV[0]/*.eml")) {
    my ($name) = $path =~ m{([^/]+)\.eml\z};
    open(my $file, '<:raw', $path) or die "$path: $!";
    my $bounce = Mail::DeliveryStatus::BounceParser->new(join('', <$file>));
    my @reports = map {
        my $report = $_;
        my %fields = map { $_ => scalar($report->get($_)) } qw(email std_reason reason host smtp_code);
        $fields{status} = $report->get('Status');
        $fields{action} = $report->get('Action');
        \%fields;
    } $bounce->reports;
    $found{$name} = {is_bounce => $bounce->is_bounce ? 1 : 0, addresses => [$bounce->addresses],
                     reports => \@reports, message_id => $bounce->orig_message_id};
}
print JSON::PP->new->canonical->utf8->encode(\%found);
