//! Does a template read as Prometheus would write it? Expected texts are what Go's `text/template` and
//! Prometheus' functions give.

use super::*;

fn with(text: &str, value: f64, query: &dyn Fn(&str) -> Result<Vec<Sample>, String>) -> Result<String, TemplateError> {
    let labels = Labels::from_pairs([("sds", "sds3"), ("system", "prod"), ("instance", "node1.example:9100")]);
    let external = BTreeMap::from([("site".to_owned(), "bonn".to_owned())]);
    let data = Data {
        labels: &labels,
        value,
        external_labels: &external,
        external_url: "https://watch.example/sio",
        now_ms: 1_700_000_000_500,
        query,
    };
    Template::parse(text)?.expand(&data)
}

fn expand(text: &str, value: f64) -> Result<String, TemplateError> {
    with(text, value, &|_| Err("no query here".to_owned()))
}

fn table(value: f64, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(expand(text, value).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn labels_and_values_are_filled_in() {
    table(
        0.25,
        &[
            ("SDS {{ $labels.sds }} of {{.Labels.system}}: {{ $value }}", "SDS sds3 of prod: 0.25"),
            ("{{ $labels.missing }}|{{ index $labels \"sds\" }}|{{ $externalLabels.site }}", "|sds3|bonn"),
            (
                "{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
                "https://watch.example/sio https://watch.example/sio /sio",
            ),
            ("{{ $.Value }} {{ now }}", "0.25 1.7000000005e+09"),
            ("{{ $value | humanizePercentage }} full", "25% full"),
            ("a {{- /* gone */ -}} b", "ab"),
            ("a {{- \"x\" }} b {{ `raw \\n` -}} \n c", "ax b raw \\nc"),
            ("{{ $labels }}", "map[instance:node1.example:9100 sds:sds3 system:prod]"),
            ("no action at all", "no action at all"),
        ],
    );
}

/// The second and third column are what promtool wrote for the same templates and values.
#[test]
fn numbers_read_as_promtool_writes_them() {
    let human = "{{ $value | humanize }} {{ $value | humanize1024 }} {{ $value | humanizeDuration }} {{ $value | humanizePercentage }}";
    let printf =
        r#"{{ printf "%v %g %.4g %.2f %s %d|%8.3f|%+d|%x|%5t" $value $value $value $value "x" 3 $value 5 "hi" true }}"#;
    for (value, humanized, printed) in [
        (
            1234567.5,
            "1.235M 1.177Mi 14d 6h 56m 7s 1.235e+08%",
            "1.2345675e+06 1.2345675e+06 1.235e+06 1234567.50 x 3|1234567.500|+5|6869| true",
        ),
        (100000.0, "100k 97.66ki 1d 3h 46m 40s 1e+07%", "100000 100000 1e+05 100000.00 x 3|100000.000|+5|6869| true"),
        (1000000.0, "1M 976.6ki 11d 13h 46m 40s 1e+08%", "1e+06 1e+06 1e+06 1000000.00 x 3|1000000.000|+5|6869| true"),
        (
            0.00001234,
            "12.34u 1.234e-05 12.34us 0.001234%",
            "1.234e-05 1.234e-05 1.234e-05 0.00 x 3|   0.000|+5|6869| true",
        ),
        (0.25, "250m 0.25 250ms 25%", "0.25 0.25 0.25 0.25 x 3|   0.250|+5|6869| true"),
        (f64::INFINITY, "+Inf +Inf +Inf +Inf%", "+Inf +Inf +Inf +Inf x 3|    +Inf|+5|6869| true"),
        (
            123456789.0,
            "123.5M 117.7Mi 1428d 21h 33m 9s 1.235e+10%",
            "1.23456789e+08 1.23456789e+08 1.235e+08 123456789.00 x 3|123456789.000|+5|6869| true",
        ),
        (59.4321, "59.43 59.43 59.43s 5943%", "59.4321 59.4321 59.43 59.43 x 3|  59.432|+5|6869| true"),
        (3661.9, "3.662k 3.576ki 1h 1m 1s 3.662e+05%", "3661.9 3661.9 3662 3661.90 x 3|3661.900|+5|6869| true"),
        (
            -90061.0,
            "-90.06k -87.95ki -1d 1h 1m 1s -9.006e+06%",
            "-90061 -90061 -9.006e+04 -90061.00 x 3|-90061.000|+5|6869| true",
        ),
        (0.012, "12m 0.012 12ms 1.2%", "0.012 0.012 0.012 0.01 x 3|   0.012|+5|6869| true"),
        (999.96, "1000 1000 16m 39s 1e+05%", "999.96 999.96 1000 999.96 x 3| 999.960|+5|6869| true"),
        (1023.0, "1.023k 1023 17m 3s 1.023e+05%", "1023 1023 1023 1023.00 x 3|1023.000|+5|6869| true"),
        (0.5, "500m 0.5 500ms 50%", "0.5 0.5 0.5 0.50 x 3|   0.500|+5|6869| true"),
        (
            1435065584.128,
            "1.435G 1.337Gi 16609d 13h 19m 44s 1.435e+11%",
            "1.435065584128e+09 1.435065584128e+09 1.435e+09 1435065584.13 x 3|1435065584.128|+5|6869| true",
        ),
    ] {
        assert_eq!(expand(human, value).as_deref(), Ok(humanized));
        assert_eq!(expand(printf, value).as_deref(), Ok(printed));
    }
}

#[test]
fn conditions_loops_and_variables_work() {
    table(
        3.0,
        &[
            ("{{ if gt $value 2.0 }}high{{ else }}low{{ end }}", "high"),
            ("{{ if lt $value 2.0 }}a{{ else if eq $labels.sds \"sds3\" }}b{{ else }}c{{ end }}", "b"),
            ("{{ with $labels.sds }}<{{ . }}>{{ end }}{{ with $labels.none }}x{{ else }}none{{ end }}", "<sds3>none"),
            ("{{ with $x := 5 }}{{ $x }}{{ end }}", "5"),
            (
                "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
                "instance=node1.example:9100;sds=sds3;system=prod;",
            ),
            (
                "{{ range $labels }}{{ if eq . \"sds3\" }}{{ continue }}{{ end }}{{ . }},{{ end }}",
                "node1.example:9100,prod,",
            ),
            ("{{ range $labels }}{{ . }}{{ break }}{{ end }}", "node1.example:9100"),
            ("{{ $n := 1 }}{{ if true }}{{ $n = 2 }}{{ $m := 3 }}{{ end }}{{ $n }}", "2"),
            ("{{ if and $labels.sds (not $labels.none) }}yes{{ end }}", "yes"),
            ("{{ or $labels.none \"default\" }}", "default"),
            ("{{ if or true (index $labels 1) }}short{{ end }}", "short"),
            ("{{ len $labels }} {{ (len $labels.sds) }}", "3 4"),
        ],
    );
}

#[test]
fn numbers_read_as_prometheus_writes_them() {
    for (function, value, expected) in [
        ("humanize", 0.0, "0"),
        ("humanize", 1_234_567.0, "1.235M"),
        ("humanize", 0.000_12, "120u"),
        ("humanize", 999.96, "1000"),
        ("humanize", 1e30, "1e+06Y"),
        ("humanize", f64::INFINITY, "+Inf"),
        ("humanize1024", 1_073_741_824.0, "1Gi"),
        ("humanize1024", 1023.0, "1023"),
        ("humanize1024", 0.5, "0.5"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 59.4321, "59.43s"),
        ("humanizeDuration", 3_661.9, "1h 1m 1s"),
        ("humanizeDuration", -90_061.0, "-1d 1h 1m 1s"),
        ("humanizeDuration", 0.012, "12ms"),
        ("humanizeDuration", f64::NAN, "NaN"),
        ("humanizePercentage", 0.123_45, "12.35%"),
        ("humanizePercentage", 1.0, "100%"),
        ("humanizeTimestamp", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("humanizeTimestamp", 1_435_065_584.999_9, "2015-06-23 13:19:44.999 +0000 UTC"),
        ("humanizeTimestamp", -1.5, "1969-12-31 23:59:58.5 +0000 UTC"),
        ("humanizeTimestamp", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
    ] {
        let text = format!("{{{{ $value | {function} }}}}");
        let got = expand(&text, value).unwrap();
        assert_eq!(got, expected, "{function} {value}");
    }
}

#[test]
fn printf_writes_as_go_does() {
    table(
        12.5,
        &[
            (r#"{{ printf "%.2f|%8.1f|%-6.0f|%+v" $value $value $value $value }}"#, "12.50|    12.5|12    |+12.5"),
            (r#"{{ printf "%d %05d %x %t %v%%" 42 42 255 true 7 }}"#, "42 00042 ff true 7%"),
            (r#"{{ printf "%.3g %g %e" $value $value $value }}"#, "12.5 12.5 1.250000e+01"),
            (r#"{{ printf "%d" $value }}"#, "%!d(float64=12.5)"),
            (r#"{{ printf "%s" }}"#, "%!s(MISSING)"),
            (r#"{{ printf "x" 1 }}"#, "x%!(EXTRA int=1)"),
            (r#"{{ print "a" 1 2 "b" }}{{ println "c" 3 }}"#, "a1 2bc 3\n"),
        ],
    );
    assert_eq!(
        expand(r#"{{ printf "%s %q %5s|%-5s|%.2s" "a" "b\"" "c" "d" "efg" }}"#, 0.0).as_deref(),
        Ok(r#"a "b\""     c|d    |ef"#)
    );
}

#[test]
fn texts_can_be_changed() {
    table(
        1.0,
        &[
            ("{{ toUpper $labels.sds }} {{ \"AbC\" | toLower }} {{ title \"aa bb-cc's\" }}", "SDS3 abc Aa Bb-Cc's"),
            (r#"{{ reReplaceAll "(.*):.*" "$1" $labels.instance }}"#, "node1.example"),
            (r#"{{ if match "^sds[0-9]+$" $labels.sds }}numbered{{ end }}"#, "numbered"),
            ("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "node1.example node1:9100"),
            (r#"{{ urlQueryEscape "a b&c" }} {{ html "<b>" }}"#, "a+b%26c &lt;b&gt;"),
            (r#"{{ parseDuration "1h30m" }} {{ slice "abcdef" 1 3 }}"#, "5400 bc"),
            (r#"{{ graphLink "up == 0" }}"#, "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"),
        ],
    );
}

#[test]
fn queries_are_answered() {
    use crate::alert::promql::{Bounds, History, Latest, Query, Source, Value};
    let mut latest = Latest::new(1000);
    for (name, value) in [("b", 2.0), ("a", 1.0)] {
        latest.push(Labels::from_pairs([("__name__", "used"), ("pool", name)]), value);
    }
    let history = History::new(Bounds::default());
    let query = |text: &str| match Query::parse(text)
        .map_err(|error| error.to_string())?
        .evaluate(Source::new(&latest, &history), 1000)
    {
        Ok(Value::Vector(vector)) => Ok(vector),
        other => Err(format!("{other:?}")),
    };
    for (text, expected) in [
        (r#"{{ query "sum(used)" | first | value }}"#, "3"),
        (r#"{{ with query "used > 1" }}{{ . | first | label "pool" }}{{ end }}"#, "b"),
        (r#"{{ range query "used" | sortByLabel "pool" }}{{ .Labels.pool }}:{{ .Value }} {{ end }}"#, "a:1 b:2 "),
        (r#"{{ with query "used > 5" }}some{{ else }}none{{ end }}"#, "none"),
    ] {
        assert_eq!(with(text, 0.0, &query).as_deref(), Ok(expected), "{text}");
    }
    let error = with(r#"{{ query "used > 5" | first }}"#, 0.0, &query).unwrap_err();
    assert!(error.to_string().contains("no elements"), "{error}");
}

#[test]
fn mistakes_name_their_place() {
    for (text, expected) in [
        ("{{ $labels.sds", "line 1, column 1: unclosed action"),
        ("a\nb {{ nosuch 1 }}", "line 2, column 6: function `nosuch` is not defined"),
        ("{{ $nosuch }}", "line 1, column 4: undefined variable `$nosuch`"),
        ("{{ if true }}x", "if without an end"),
        ("x{{ end }}", "unexpected {{end}}"),
        ("{{ template \"x\" }}", "`template` is not supported"),
        ("{{ toTime 1 }}", "`toTime` is not supported"),
        ("{{ .Nosuch }}", "no field `Nosuch` in struct"),
        ("{{ humanize \"x\" }}", "humanize: can't read \"x\" as a number"),
        ("{{ lt 1 2.0 }}", "incompatible types for comparison: int and float64"),
        ("{{ $labels.sds.x }}", "no field `x` in string"),
        ("{{ 5 6 }}", "can't give an argument"),
        ("{{ }}", "missing value for command"),
        ("{{ | toUpper }}", "missing value for command"),
        ("{{ \"a }}", "unclosed string"),
        ("{{ break }}", "break outside of a range"),
        ("{{ query \"x\" }}", "query: no query here"),
    ] {
        let error = expand(text, 1.0).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_text_cannot_grow_without_bound_nor_nest_without_end() {
    let text = "{{ range $a := $labels }}".repeat(3) + &"x".repeat(20_000) + &"{{ end }}".repeat(3);
    assert!(expand(&text, 1.0).unwrap_err().to_string().contains("grows beyond"));
    let deep = "{{ if true }}".repeat(5_000) + &"{{ end }}".repeat(5_000);
    assert!(expand(&deep, 1.0).unwrap_err().to_string().contains("nested deeper"));
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(expand(&brackets, 1.0).unwrap_err().to_string().contains("nested deeper"));
}

#[test]
fn the_labels_a_text_names_are_told() {
    let template = Template::parse(
        r#"{{ $labels.a }}{{ if eq .Labels.b "x" }}{{ index $labels "c" | toUpper }}{{ end }}{{ with $labels.d }}{{ . }}{{ end }}"#,
    )
    .unwrap();
    assert_eq!(template.labels_used().into_iter().collect::<String>(), "abcd");
}
