/*
 * What INIT and INIT ACK carry: read as both sides can use it, and written.
 *
 * RFC 9260, sections 3.3.2, 3.3.3, 3.2.1 (what is not known), 5.1.2 (addresses). RFC 9653, section
 * 4 (zero checksum).
 */
#include "engine/private.h"

/* False: there are too many. */
static bool add_address(struct init_parameters *parameters, const struct braid_address *address)
{
    for (uint8_t i = 0; i < parameters->address_count; i++) {
        if (braid_address_equal(&parameters->addresses[i], address))
            return true;
    }
    if (parameters->address_count == ADDRESSES_MAXIMUM)
        return false;
    parameters->addresses[parameters->address_count++] = *address;
    return true;
}

static void read_address(struct braid_engine *engine, struct init_parameters *parameters,
                         const struct sctp_parameter *parameter,
                         const struct sctp_endpoint *endpoint, const struct arrival *arrival)
{
    struct braid_address address;

    if (!address_parameter_read(parameter, &address)) {
        parameters->malformed = true;
        return;
    }
    address = braid_address_normalise(&address);
    if (endpoint && (address.family == BRAID_IPV4 ? !endpoint->ipv4 : !endpoint->ipv6))
        return;
    if (!endpoint_peer_may_have(engine, &address, arrival) || !add_address(parameters, &address))
        engine->statistics.addresses_refused++;
}

static void report(struct init_parameters *parameters, const struct sctp_parameter *parameter)
{
    size_t padded = wire_padded(parameter->length);
    uint8_t *place = parameters->unrecognized + parameters->unrecognized_length;

    if (padded > sizeof(parameters->unrecognized) - parameters->unrecognized_length)
        return;
    memset(place, 0, padded);
    memcpy(place, parameter->bytes, parameter->length);
    parameters->unrecognized_length += padded;
}

/* RFC 9653, 4: it comes once. 5.2: a method that we do not have is as none. */
static void read_zero_checksum(struct init_parameters *parameters,
                               const struct sctp_parameter *parameter,
                               const struct braid_parameters *own)
{
    uint32_t method;

    if (parameters->zero_checksum_given || !zero_checksum_read(parameter, &method))
        return;
    parameters->zero_checksum_given = true;
    parameters->accepts_zero_checksum = method != 0 && method == own->error_detection_method;
}

bool setup_offers_asconf(const struct braid_parameters *own)
{
    return own->asconf && own->authentication;
}

/* RFC 9260, section 3.3.2.1, 3.3.3.1, and 3.2.1 for what is not known. */
void setup_read_parameters(struct braid_engine *engine, struct init_parameters *parameters,
                           const struct sctp_init *init, const struct sctp_endpoint *endpoint,
                           const struct arrival *arrival, const struct braid_parameters *own)
{
    struct parameter_iterator iterator;
    struct authentication_offer offer = {0};
    struct sctp_parameter parameter;
    bool stop = false;

    memset(parameters, 0, offsetof(struct init_parameters, unrecognized));
    parameters->unrecognized_length = 0;
    add_address(parameters, &arrival->source);
    parameter_iterator_init(&iterator, init->parameters, init->parameters_length);
    while (parameter_next(&iterator, &parameter)) {
        if (stop && parameter.type != SCTP_PARAMETER_STATE_COOKIE)
            continue; /* 3.2.1: a COOKIE ECHO is sent all the same */
        switch (parameter.type) {
        case SCTP_PARAMETER_IPV4_ADDRESS:
        case SCTP_PARAMETER_IPV6_ADDRESS:
            read_address(engine, parameters, &parameter, endpoint, arrival);
            break;
        case SCTP_PARAMETER_STATE_COOKIE:
            parameters->has_cookie = true; /* it may be empty: it is the peer's affair */
            parameters->state_cookie = parameter;
            break;
        case SCTP_PARAMETER_COOKIE_PRESERVATIVE:
            cookie_preservative_read(&parameter, &parameters->cookie_preservative);
            break;
        case SCTP_PARAMETER_HOST_NAME_ADDRESS:
            parameters->has_host_name = true;
            parameters->host_name = parameter;
            break;
        case SCTP_PARAMETER_SUPPORTED_ADDRESS_TYPES: {
            struct sctp_supported_address_types types;

            if (supported_address_types_read(&parameter, &types)) {
                parameters->supported_given = true;
                parameters->ipv4 |= types.ipv4;
                parameters->ipv6 |= types.ipv6;
            }
            break;
        }
        case SCTP_PARAMETER_ADAPTATION_LAYER_INDICATION:
            parameters->adaptation_given |=
                adaptation_layer_indication_read(&parameter, &parameters->adaptation);
            break;
        case SCTP_PARAMETER_FORWARD_TSN_SUPPORTED:
            parameters->partial_reliability = true;
            break;
        case SCTP_PARAMETER_RANDOM:
        case SCTP_PARAMETER_CHUNK_LIST:
        case SCTP_PARAMETER_HMAC_ALGORITHM:
            authentication_offer_read(&offer, &parameter);
            break;
        case SCTP_PARAMETER_SUPPORTED_EXTENSIONS:
            parameters->partial_reliability |=
                chunk_types_contain(&parameter, SCTP_CHUNK_FORWARD_TSN);
            parameters->lists_auth |= chunk_types_contain(&parameter, SCTP_CHUNK_AUTH);
            parameters->reconfig |= chunk_types_contain(&parameter, SCTP_CHUNK_RE_CONFIG);
            parameters->interleaving |= chunk_types_contain(&parameter, SCTP_CHUNK_I_DATA);
            parameters->lists_i_forward_tsn |=
                chunk_types_contain(&parameter, SCTP_CHUNK_I_FORWARD_TSN);
            parameters->lists_asconf |= chunk_types_contain(&parameter, SCTP_CHUNK_ASCONF) &&
                                        chunk_types_contain(&parameter, SCTP_CHUNK_ASCONF_ACK);
            break;
        case SCTP_PARAMETER_ECN:
            parameters->ecn = own->ecn;
            break;
        case SCTP_PARAMETER_ZERO_CHECKSUM:
            read_zero_checksum(parameters, &parameter, own);
            break;
        case SCTP_PARAMETER_UNRECOGNIZED: /* ours, come back */
            break;
        default: {
            struct sctp_unknown_action action = parameter_unknown_action(parameter.type);

            engine->statistics.unknown_parameters++;
            if (action.report)
                report(parameters, &parameter);
            stop = action.stop;
        }
        }
    }
    /* 5.1.2: what it uses it supports, listed or not. */
    for (uint8_t i = 0; i < parameters->address_count; i++) {
        parameters->ipv4 |= parameters->addresses[i].family == BRAID_IPV4;
        parameters->ipv6 |= parameters->addresses[i].family == BRAID_IPV6;
    }
    parameters->malformed |= iterator.malformed && !stop;
    parameters->terms.length = 0;
    if (own->authentication && !authentication_offer_take(&offer, &parameters->terms))
        parameters->malformed = true; /* RFC 4895, 6.1 */
    if (setup_offers_asconf(own) && parameters->lists_asconf && !parameters->lists_auth)
        parameters->malformed = true; /* RFC 5061, 6 */
    parameters->lists_asconf &= setup_offers_asconf(own);
    parameters->interleaving &= own->interleaving;
    parameters->partial_reliability &=
        own->partial_reliability &&
        (!parameters->interleaving || parameters->lists_i_forward_tsn); /* RFC 8260, 2.3.1 */
    parameters->reconfig &= own->reconfig;
}

bool setup_peer_speaks(const struct init_parameters *parameters, enum braid_family family)
{
    return !parameters->supported_given ||
           (family == BRAID_IPV4 ? parameters->ipv4 : parameters->ipv6);
}

void setup_write_addresses(struct packet_writer *writer, const struct braid_address *addresses,
                           size_t count, const struct braid_address *talking)
{
    if (count == 1 && talking && braid_address_equal(&addresses[0], talking))
        return;
    for (size_t i = 0; i < count; i++)
        address_parameter_write(writer, &addresses[i]);
}

/* RFC 5061, 4.2.7: Linux believes in AUTH only if it is listed here too. */
void setup_write_extensions(struct packet_writer *writer, const struct setup_extensions *offered)
{
    uint8_t types[8];
    size_t count = 0;

    if (offered->authentication)
        types[count++] = SCTP_CHUNK_AUTH;
    if (offered->authentication && offered->asconf) {
        types[count++] = SCTP_CHUNK_ASCONF;
        types[count++] = SCTP_CHUNK_ASCONF_ACK;
    }
    if (offered->reconfig)
        types[count++] = SCTP_CHUNK_RE_CONFIG;
    if (offered->interleaving)
        types[count++] = SCTP_CHUNK_I_DATA;
    if (offered->interleaving && offered->partial_reliability) /* RFC 8260, 2.3.1 */
        types[count++] = SCTP_CHUNK_I_FORWARD_TSN;
    if (count > 0)
        parameter_write(writer, SCTP_PARAMETER_SUPPORTED_EXTENSIONS, types, count);
}
