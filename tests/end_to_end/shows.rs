//! What the stub services of hosts say, and how they show in the simulated system.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::model::version::as_reported;
use scaleio_framework::sim::Running;
use scaleio_framework::stage::{Place, Service, View};

/// Services come and go within a second of a boot.
const LOOK: Duration = Duration::from_millis(200);

/// The hosts as others see them.
pub(crate) struct Shows {
    place: Place,
    views: Mutex<BTreeMap<String, View>>,
    is_over: AtomicBool,
}

/// Between separators, without what is empty.
fn parts(text: &str, by: char) -> Vec<String> {
    text.split(by).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl Shows {
    /// Serves the stubs at an address of the machine.
    pub(crate) fn open(world: &Running, listen: &str) -> Arc<Self> {
        let shows = Arc::new(Self {
            place: Place::new(world.handle()),
            views: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let listener = TcpListener::bind(listen).unwrap();
        let (heard, looks) = (Arc::clone(&shows), Arc::clone(&shows));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shows = Arc::clone(&heard);
                if shows.is_over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::spawn(move || shows.hear(&stream.unwrap()));
            }
        });
        std::thread::spawn(move || {
            while !looks.is_over.load(Ordering::Relaxed) {
                let views: Vec<View> = looks.views.lock().unwrap().values().cloned().collect();
                if let Err(refusal) = looks.place.reflect(&views) {
                    eprintln!("the system does not show its hosts: {refusal}");
                }
                std::thread::sleep(LOOK);
            }
        });
        shows
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Commands that changed the MDM cluster, in order.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.place.changes()
    }

    fn view<T>(&self, ip: &str, change: impl FnOnce(&mut View) -> T) -> T {
        let mut views = self.views.lock().unwrap();
        let view = views.entry(ip.to_owned()).or_insert_with(|| {
            let number: u8 = ip.rsplit('.').next().unwrap().parse().unwrap();
            View { name: super::site::name(number - 10), ips: vec![ip.to_owned()], ..View::default() }
        });
        change(view)
    }

    /// One line of a stub: a service that lives as long as its connection, or a command.
    fn hear(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let words: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
        // The answer is which of its starts this is: the end of an earlier one may be heard later.
        let begins = |service: &mut Option<Service>, version: &str| {
            let starts = service.as_ref().map_or(0, |service| service.starts) + 1;
            *service = Some(Service { runs: true, version: Some(as_reported(version).into()), starts });
            starts
        };
        let ends = |service: &mut Option<Service>, start: u64| {
            if let Some(service) = service.as_mut().filter(|service| service.starts == start) {
                service.runs = false;
            }
        };
        match words[..] {
            ["daemon", ip, is_manager, version] => {
                let start = self.view(ip, |view| {
                    view.is_manager = is_manager == "1";
                    begins(&mut view.mdm, version)
                });
                // It says nothing more: this ends when its host does.
                let _ = reader.read(&mut [0; 1]);
                self.view(ip, |view| ends(&mut view.mdm, start));
            }
            ["sds", ip, version] => {
                let start = self.view(ip, |view| begins(&mut view.sds, version));
                let _ = reader.read(&mut [0; 1]);
                self.view(ip, |view| ends(&mut view.sds, start));
            }
            ["sdc", ip, version, _] => {
                let start = self.view(ip, |view| begins(&mut view.sdc, version));
                let mut told = line.clone();
                loop {
                    let managers = told.trim_end_matches('\n').split('\t').nth(3).unwrap_or_default();
                    let managers = parts(managers, ';').iter().map(|list| parts(list, ',')).collect();
                    self.view(ip, |view| view.managers = managers);
                    told.clear();
                    if reader.read_line(&mut told).unwrap_or_default() == 0 {
                        break;
                    }
                }
                self.view(ip, |view| ends(&mut view.sdc, start));
            }
            ["scli", ip, args, typed] => {
                let (args, typed) = (parts(args, '\u{1f}'), parts(typed, '\u{1f}'));
                let (args, typed): (Vec<&str>, Vec<&str>) =
                    (args.iter().map(String::as_str).collect(), typed.iter().map(String::as_str).collect());
                let (ended, _) = self.place.scli(ip, &args, &typed);
                let _ = (&mut &*stream).write_all(format!("{}\n{}", ended.status, ended.text).as_bytes());
            }
            _ => eprintln!("a stub said {line:?}"),
        }
    }
}
