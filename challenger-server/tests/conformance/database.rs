//! The databases that the laws are tested on.

use challenger_server::store::{OpenMode, Registry, Store, StoreError};

/// A database of its own for one test, without a schema at first.
///
/// The SQL of laws is understood by all databases, and names tables without a schema.
pub(crate) trait TestDatabase: Sized {
    /// The store in such a database.
    type Store: Store + Registry;

    /// A connection that bypasses the store.
    type Connection;

    /// The catalogue that lists indexes, and its column with their names.
    const INDEXES: [&'static str; 2];

    /// A new database.
    fn create() -> Self;

    /// A store in it.
    fn open(&self, mode: OpenMode) -> Result<Self::Store, StoreError>;

    /// How errors name it.
    fn place(&self) -> String;

    /// Runs statements, without the checks of the schema where they can be turned off.
    fn execute(&self, sql: &str);

    /// The number that a query returns.
    fn number(&self, sql: &str) -> i64;

    /// Bytes as SQL writes them.
    fn bytes(hex: &str) -> String;

    /// Creates the schema as a program of version 1 did.
    fn create_version_1(&self);

    /// The steps from version 1 to version 2, and so on.
    const STEPS: [&'static str; 3];

    /// Makes the schema claim another version.
    fn set_version(&self, version: i64);

    /// Creates a table of another program. Returns the error for it.
    fn occupy(&self) -> &'static str;

    /// Locks the validations until the connection is dropped. Returns it, and the error of a write.
    fn lock(&self) -> (Self::Connection, &'static str);

    /// Removes the database. Returns the error of a load.
    fn remove(&self) -> &'static str;

    /// Everything that a thief of the database finds. Bytes may be in hex.
    fn contents(&self) -> Vec<u8>;

    /// Creates the schema, or brings it up to date.
    fn migrate(&self) {
        self.open(OpenMode::Maintain).unwrap().migrate().unwrap();
    }

    /// A store as a server has it.
    fn serve(&self) -> Self::Store {
        self.open(OpenMode::Serve).unwrap()
    }
}

/// A database with a schema, and a store in it.
pub(crate) fn served<D: TestDatabase>() -> (D, D::Store) {
    let database = D::create();
    database.migrate();
    let store = database.serve();
    (database, store)
}

/// The error of something that has to fail.
pub(crate) fn error_of<T>(result: Result<T, StoreError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| panic!("it should have failed"))
}

/// Makes a test of each law, on one kind of database.
#[allow(unused_macros, reason = "some tests only need the helpers")]
macro_rules! laws {
    ($database:ty) => {
        $crate::conformance::laws! { $database:
            #[test]
            fn a_random_walk_goes_as_in_the_reference_store();
            #[test]
            fn clients_are_registered_once();
            #[test]
            fn many_register_the_same_client_once();
            #[test]
            fn threads_that_contend_lose_nothing();
            #[test]
            fn two_stores_change_one_row();
            #[test]
            fn stores_share_what_is_there();
            #[test]
            fn clients_are_counted_changed_and_deleted();
            #[test]
            fn nothing_opens_by_a_secret_that_was_replaced();
            #[test]
            fn what_is_left_of_a_client_is_collected();
            #[test]
            fn open_validations_are_counted();
            #[test]
            fn garbage_is_counted_when_it_goes();
            #[test]
            fn garbage_is_collected_in_pieces();
            #[test]
            fn a_person_is_found_in_any_spelling_and_forgotten();
            #[test]
            fn a_person_is_forgotten_in_pieces();
            #[test]
            fn statistics_of_servers_add_up();
            #[test]
            fn statistics_are_kept_for_so_many_days();
            #[test]
            fn balances_go_as_in_the_reference_store();
            #[test]
            fn what_is_over_budget_changes_nothing();
            #[test]
            fn a_race_for_messages_is_won_by_as_many_as_there_are();
            #[test]
            fn a_server_that_ends_leaves_what_it_did_not_spend();
            #[test]
            fn spending_is_listed_and_forgiven();
            #[test]
            fn a_client_s_budget_is_set_and_loaded();
            #[test]
            fn an_open_client_has_a_budget();
            #[test]
            fn a_client_is_registered_with_all_it_has();
            #[test]
            fn changes_are_made_together();
            #[test]
            fn a_client_moves();
            #[test]
            fn a_secret_may_be_kept_for_a_while();
            #[test]
            fn a_deletion_voids_both_secrets();
            #[test]
            fn nothing_opens_once_a_client_is_disabled();
            #[test]
            fn a_race_leaves_no_open_client_without_a_budget();
            #[test]
            fn a_grant_is_discarded_alone();
            #[test]
            fn balances_are_collected_when_windows_end();
            #[test]
            fn the_ledger_keeps_no_address();
            #[test]
            fn operators_hear_of_budgets_that_are_used_up();
            #[test]
            fn version_2_is_migrated_and_keeps_its_rows();
            #[test]
            fn version_3_is_migrated_and_keeps_its_rows();
            #[test]
            fn version_4_is_migrated_and_keeps_its_rows();
            #[test]
            fn servers_of_version_3_go_on_with_the_tables_of_today();
            #[test]
            fn servers_of_version_4_go_on_with_the_tables_of_today();
            #[test]
            fn schemas_are_checked_before_serving();
            #[test]
            fn databases_of_others_are_left_alone();
            #[test]
            fn migrating_keeps_and_resetting_drops();
            #[test]
            fn version_1_is_migrated_and_keeps_its_rows();
            #[test]
            fn corrupt_rows_are_refused();
            #[test]
            fn a_lock_that_lasts_is_an_error_and_no_harm();
            #[test]
            fn a_database_that_is_gone_is_an_error();
            #[test]
            fn no_secret_is_kept();
        }
    };
    ($database:ty: $(#[test] fn $law:ident();)*) => {
        $(
            #[test]
            fn $law() {
                $crate::conformance::$law::<$database>();
            }
        )*
    };
}
pub(crate) use laws;
